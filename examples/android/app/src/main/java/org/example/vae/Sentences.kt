package org.example.vae

import android.content.Context
import java.io.Closeable
import java.io.FileInputStream
import java.nio.IntBuffer
import java.nio.channels.FileChannel
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/**
 * The exported decoder of a model of texts, and the vocabulary beside it.
 *
 * signature generate: seed int32 [], temperature float32 [], token_temperature float32 [] -> tokens int32 [16, 8], z float32 [16, 16]
 */
class Sentences(context: Context) : Closeable {
    private val interpreter: Interpreter
    private val strings: List<String>
    private val first: JSONObject
    private val join: String
    private val areBytes: Boolean
    private val trim: Boolean
    private val end: Int

    init {
        val model = context.assets.openFd("decoder.tflite").use { asset ->
            FileInputStream(asset.fileDescriptor).channel.use {
                it.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
            }
        }
        interpreter = Interpreter(model, Interpreter.Options().setNumThreads(2))
        val text = context.assets.open("vocabulary.json").bufferedReader().use { it.readText() }
        val vocabulary = JSONObject(text)
        val tokens = vocabulary.getJSONArray("tokens")
        strings = List(tokens.length()) { tokens.getString(it) }
        first = vocabulary.getJSONObject("first")
        join = vocabulary.getString("join")
        areBytes = vocabulary.getBoolean("bytes")
        trim = vocabulary.getBoolean("trim")
        end = vocabulary.getInt("end")
    }

    /** Returns the texts of `vae.generate(16, seed)` in Python; a tokenTemperature of 0 takes the most probable words. */
    fun generate(seed: Int, temperature: Float = 1.0f, tokenTemperature: Float = 1.0f): List<String> {
        val (count, length) = interpreter.getOutputTensorFromSignature("tokens", "generate").shape()
        val tokens = IntBuffer.allocate(count * length)
        interpreter.runSignature(
            mapOf<String, Any>("seed" to seed, "temperature" to temperature, "token_temperature" to tokenTemperature),
            mapOf<String, Any>("tokens" to tokens),
            "generate",
        )
        return tokens.array().toList().chunked(length).map(::decode)
    }

    /** Returns the text of a row of tokens, which holds `end` after its last one. */
    fun decode(tokens: List<Int>): String {
        val told = tokens.takeWhile { it != end }.filter { strings[it].isNotEmpty() }
        val parts = told.mapIndexed { place, token ->
            if (place == 0) first.optString(token.toString(), strings[token]) else strings[token]
        }
        val joined = parts.joinToString(join)
        val text = if (areBytes) String(joined.toByteArray(Charsets.ISO_8859_1), Charsets.UTF_8) else joined
        return if (trim) text.trim(' ') else text
    }

    override fun close() = interpreter.close()
}
