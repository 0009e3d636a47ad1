package org.example.vae

import android.content.Context
import java.io.Closeable
import java.io.FileInputStream
import java.nio.FloatBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

/** Pictures and the codes they were decoded from. */
class Samples(val mean: FloatArray, val z: FloatArray)

/**
 * The exported decoder.
 *
 * signature sample: seed int32 [], temperature float32 [] -> mean float32 [16, 28, 28, 1], z float32 [16, 40]
 * signature decode: z float32 [1, 40] -> mean float32 [1, 28, 28, 1]
 */
class Decoder(context: Context) : Closeable {
    private val interpreter: Interpreter

    init {
        val model = context.assets.openFd("decoder.tflite").use { asset ->
            FileInputStream(asset.fileDescriptor).channel.use {
                it.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
            }
        }
        interpreter = Interpreter(model, Interpreter.Options().setNumThreads(2))
    }

    /** Draws what `vae.sample(16, seed)` draws in Python; values from 0 to 1, one picture after the other. */
    fun sample(seed: Int, temperature: Float = 1.0f): Samples {
        val mean = FloatBuffer.allocate(COUNT * HEIGHT * WIDTH)
        val z = FloatBuffer.allocate(COUNT * LATENT_DIM)
        interpreter.runSignature(
            mapOf<String, Any>("seed" to seed, "temperature" to temperature),
            mapOf<String, Any>("mean" to mean, "z" to z),
            "sample",
        )
        return Samples(mean.array(), z.array())
    }

    /** Returns the picture of one code. */
    fun decode(z: FloatArray): FloatArray {
        require(z.size == LATENT_DIM) { "z must have $LATENT_DIM values. Received: ${z.size}" }
        val mean = FloatBuffer.allocate(HEIGHT * WIDTH)
        interpreter.runSignature(
            mapOf<String, Any>("z" to arrayOf(z)),
            mapOf<String, Any>("mean" to mean),
            "decode",
        )
        return mean.array()
    }

    override fun close() = interpreter.close()

    companion object {
        const val COUNT = 16
        const val HEIGHT = 28
        const val WIDTH = 28
        const val LATENT_DIM = 40
    }
}
