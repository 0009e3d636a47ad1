plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.example.vae"
    compileSdk = 34
    defaultConfig {
        applicationId = "org.example.vae"
        minSdk = 24
        targetSdk = 34
        versionCode = 1
        versionName = "1.0"
    }
    // The model is mapped into memory, which a compressed asset cannot be.
    androidResources { noCompress += "tflite" }
    kotlinOptions { jvmTarget = "1.8" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

dependencies { implementation("com.google.ai.edge.litert:litert:1.4.0") }
