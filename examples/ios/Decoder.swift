import Foundation
import TensorFlowLite

/// The exported decoder.
///
/// signature sample: seed int32 [], temperature float32 [] -> mean float32 [16, 28, 28, 1], z float32 [16, 40]
/// signature decode: z float32 [1, 40] -> mean float32 [1, 28, 28, 1]
final class Decoder {
    static let count = 16
    static let height = 28
    static let width = 28
    static let latentDim = 40

    struct MissingModel: LocalizedError {
        let errorDescription: String? = "decoder.tflite is not in the app: add it to the target"
    }

    private let sampler: SignatureRunner
    private let decoder: SignatureRunner
    private let interpreter: Interpreter

    init() throws {
        guard let path = Bundle.main.path(forResource: "decoder", ofType: "tflite") else { throw MissingModel() }
        interpreter = try Interpreter(modelPath: path)
        sampler = try interpreter.signatureRunner(with: "sample")
        decoder = try interpreter.signatureRunner(with: "decode")
        try sampler.allocateTensors()
        try decoder.allocateTensors()
    }

    /// Draws what `vae.sample(16, seed)` draws in Python; values from 0 to 1, one picture after the other.
    func sample(seed: Int32, temperature: Float32 = 1) throws -> (mean: [Float32], z: [Float32]) {
        try sampler.copy(bytes(of: [seed]), toInputNamed: "seed")
        try sampler.copy(bytes(of: [temperature]), toInputNamed: "temperature")
        try sampler.invoke()
        return (floats(in: try sampler.output(named: "mean")), floats(in: try sampler.output(named: "z")))
    }

    /// Returns the picture of one code.
    func decode(z: [Float32]) throws -> [Float32] {
        precondition(z.count == Decoder.latentDim, "z must have \(Decoder.latentDim) values. Received: \(z.count)")
        try decoder.copy(bytes(of: z), toInputNamed: "z")
        try decoder.invoke()
        return floats(in: try decoder.output(named: "mean"))
    }

    private func bytes<T>(of values: [T]) -> Data { values.withUnsafeBufferPointer { Data(buffer: $0) } }

    private func floats(in tensor: Tensor) -> [Float32] {
        tensor.data.withUnsafeBytes { Array($0.bindMemory(to: Float32.self)) }
    }
}
