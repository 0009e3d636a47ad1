import SwiftUI

/// A seed field, a button, and the sixteen sentences of that seed.
struct SentencesView: View {
    @State private var seed = "7"
    @State private var lines: [String] = []
    @State private var message = ""
    private let sentences = Result { try Sentences() }

    var body: some View {
        VStack(spacing: 16) {
            TextField("Seed", text: $seed).textFieldStyle(.roundedBorder)
            Button("Draw", action: draw)
            List(Array(lines.enumerated()), id: \.offset) { Text(verbatim: $0.element) }
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
            lines = try sentences.get().generate(seed: number)
            message = ""
        } catch {
            message = error.localizedDescription
        }
    }
}
