import Foundation
import TensorFlowLite

/// The exported decoder of a model of texts, and the vocabulary beside it.
///
/// signature generate: seed int32 [], temperature float32 [], token_temperature float32 [] -> tokens int32 [16, 8], z float32 [16, 16]
final class Sentences {
    struct MissingFile: LocalizedError {
        let errorDescription: String? = "decoder.tflite or vocabulary.json is not in the app: add both to the target"
    }

    private struct Vocabulary: Decodable {
        let tokens: [String]
        let first: [String: String]
        let join: String
        let bytes: Bool
        let trim: Bool
        let end: Int32
    }

    private let generator: SignatureRunner
    private let interpreter: Interpreter
    private let vocabulary: Vocabulary

    init() throws {
        guard let path = Bundle.main.path(forResource: "decoder", ofType: "tflite"),
            let words = Bundle.main.url(forResource: "vocabulary", withExtension: "json")
        else { throw MissingFile() }
        vocabulary = try JSONDecoder().decode(Vocabulary.self, from: Data(contentsOf: words))
        interpreter = try Interpreter(modelPath: path)
        generator = try interpreter.signatureRunner(with: "generate")
        try generator.allocateTensors()
    }

    /// Returns the texts of `vae.generate(16, seed)` in Python; a tokenTemperature of 0 takes the most probable words.
    func generate(seed: Int32, temperature: Float32 = 1, tokenTemperature: Float32 = 1) throws -> [String] {
        try generator.copy(bytes(of: [seed]), toInputNamed: "seed")
        try generator.copy(bytes(of: [temperature]), toInputNamed: "temperature")
        try generator.copy(bytes(of: [tokenTemperature]), toInputNamed: "token_temperature")
        try generator.invoke()
        let output = try generator.output(named: "tokens")
        let tokens = output.data.withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
        let length = output.shape.dimensions[1]
        return stride(from: 0, to: tokens.count, by: length).map { decode(tokens[$0..<($0 + length)]) }
    }

    /// Returns the text of a row of tokens, which holds `end` after its last one.
    func decode(_ tokens: ArraySlice<Int32>) -> String {
        let told = tokens.prefix { $0 != vocabulary.end }.filter { !vocabulary.tokens[Int($0)].isEmpty }
        var strings = told.map { vocabulary.tokens[Int($0)] }
        if let token = told.first, let string = vocabulary.first[String(token)] { strings[0] = string }
        var text = strings.joined(separator: vocabulary.join)
        if vocabulary.bytes { text = String(decoding: text.unicodeScalars.map { UInt8($0.value) }, as: UTF8.self) }
        return vocabulary.trim ? text.trimmingCharacters(in: CharacterSet(charactersIn: " ")) : text
    }

    private func bytes<T>(of values: [T]) -> Data { values.withUnsafeBufferPointer { Data(buffer: $0) } }
}
