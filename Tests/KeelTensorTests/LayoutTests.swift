import KeelTensor
import Testing

@Suite struct LayoutTests {
  @Test func channelsFirstToChannelsLast() throws {
    // Element n·1000 + c·100 + h·10 + w.
    let (batch, channels, height, width) = (2, 3, 2, 4)
    var elements: [Float] = []
    for n in 0..<batch {
      for c in 0..<channels {
        for h in 0..<height {
          for w in 0..<width { elements.append(Float(n * 1000 + c * 100 + h * 10 + w)) }
        }
      }
    }
    let tensor = try Tensor(
      nchw: elements, batch: batch, channels: channels, height: height, width: width)
    #expect(tensor.shape == [2, 2, 4, 3])
    for n in 0..<batch {
      for c in 0..<channels {
        for h in 0..<height {
          for w in 0..<width {
            #expect(tensor[n, h, w, c] == Float(n * 1000 + c * 100 + h * 10 + w))
          }
        }
      }
    }
    #expect(tensor.nchw == elements)
  }

  @Test func wrongCounts() {
    for (batch, width) in [(3, 1), (-2, -1)] {
      let error = #expect(throws: KeelError.self) {
        try Tensor(nchw: [1, 2, 3, 4], batch: batch, channels: 2, height: 1, width: width)
      }
      #expect(error?.kind == .shape && error?.found == "4")
    }
  }
}
