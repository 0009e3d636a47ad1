import SwiftUI

@main
struct VaeApp: App {
    var body: some Scene { WindowGroup { ContentView() } }
}

/// A seed field, a button, and the sixteen pictures of that seed.
struct ContentView: View {
    @State private var seed = "7"
    @State private var picture: CGImage?
    @State private var message = ""
    private let decoder = Result { try Decoder() }

    var body: some View {
        VStack(spacing: 16) {
            TextField("Seed", text: $seed).textFieldStyle(.roundedBorder)
            Button("Draw", action: draw)
            if let picture {
                Image(decorative: picture, scale: 1).interpolation(.none).resizable().scaledToFit()
            }
            Text(message)
        }
        .padding()
        .onAppear(perform: draw)
    }

    private func draw() {
        guard let number = Int32(seed) else {
            message = "The seed must be an integer from -2147483648 to 2147483647"
            return
        }
        do {
            picture = grid(try decoder.get().sample(seed: number).mean)
            message = ""
        } catch {
            message = error.localizedDescription
        }
    }

    /// Returns the pictures as four rows of four.
    private func grid(_ mean: [Float32]) -> CGImage? {
        let (height, width) = (Decoder.height, Decoder.width)
        var pixels = [UInt8](repeating: 0, count: Decoder.count * height * width)
        for i in 0..<Decoder.count {
            for y in 0..<height {
                for x in 0..<width {
                    let gray = max(0, min(255, 255 * mean[(i * height + y) * width + x]))
                    pixels[(i / 4 * height + y) * 4 * width + i % 4 * width + x] = UInt8(gray)
                }
            }
        }
        guard let provider = CGDataProvider(data: Data(pixels) as CFData) else { return nil }
        return CGImage(
            width: 4 * width, height: 4 * height, bitsPerComponent: 8, bitsPerPixel: 8, bytesPerRow: 4 * width,
            space: CGColorSpaceCreateDeviceGray(), bitmapInfo: CGBitmapInfo(rawValue: 0), provider: provider,
            decode: nil, shouldInterpolate: false, intent: .defaultIntent)
    }
}
