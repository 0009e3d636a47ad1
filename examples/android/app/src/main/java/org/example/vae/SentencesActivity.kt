package org.example.vae

import android.app.Activity
import android.os.Bundle
import android.text.InputType
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView

/** A seed field, a button, and the sixteen sentences of that seed. */
class SentencesActivity : Activity() {
    private lateinit var sentences: Sentences

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        sentences = Sentences(this)
        val seed = EditText(this).apply {
            inputType = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_SIGNED
            setText("7")
        }
        val text = TextView(this).apply { setTextIsSelectable(true) }
        val draw = Button(this).apply {
            setText("Draw")
            setOnClickListener {
                val number = seed.text.toString().toIntOrNull()
                if (number == null) {
                    seed.error = "The seed must be an integer from -2147483648 to 2147483647"
                } else {
                    text.text = sentences.generate(number).joinToString("\n")
                }
            }
        }
        setContentView(
            LinearLayout(this).apply {
                orientation = LinearLayout.VERTICAL
                addView(seed)
                addView(draw)
                addView(ScrollView(context).apply { addView(text) })
            }
        )
        draw.performClick()
    }

    override fun onDestroy() {
        sentences.close()
        super.onDestroy()
    }
}
