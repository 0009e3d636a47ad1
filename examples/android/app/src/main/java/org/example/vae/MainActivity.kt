package org.example.vae

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Color
import android.os.Bundle
import android.text.InputType
import android.widget.Button
import android.widget.EditText
import android.widget.ImageView
import android.widget.LinearLayout

/** A seed field, a button, and the sixteen pictures of that seed. */
class MainActivity : Activity() {
    private lateinit var decoder: Decoder

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        decoder = Decoder(this)
        val seed = EditText(this).apply {
            inputType = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_SIGNED
            setText("7")
        }
        val picture = ImageView(this).apply { adjustViewBounds = true }
        val draw = Button(this).apply {
            text = "Draw"
            setOnClickListener {
                val number = seed.text.toString().toIntOrNull()
                if (number == null) {
                    seed.error = "The seed must be an integer from -2147483648 to 2147483647"
                } else {
                    picture.setImageBitmap(grid(decoder.sample(number).mean))
                }
            }
        }
        setContentView(
            LinearLayout(this).apply {
                orientation = LinearLayout.VERTICAL
                addView(seed)
                addView(draw)
                addView(picture)
            }
        )
        draw.performClick()
    }

    /** Returns the pictures as four rows of four, four times as large. */
    private fun grid(mean: FloatArray): Bitmap {
        val (height, width) = Decoder.HEIGHT to Decoder.WIDTH
        val bitmap = Bitmap.createBitmap(4 * width, 4 * height, Bitmap.Config.ARGB_8888)
        for (i in 0 until Decoder.COUNT) for (y in 0 until height) for (x in 0 until width) {
            val gray = (255 * mean[(i * height + y) * width + x]).toInt().coerceIn(0, 255)
            bitmap.setPixel(i % 4 * width + x, i / 4 * height + y, Color.rgb(gray, gray, gray))
        }
        return Bitmap.createScaledBitmap(bitmap, 16 * width, 16 * height, false)
    }

    override fun onDestroy() {
        decoder.close()
        super.onDestroy()
    }
}
