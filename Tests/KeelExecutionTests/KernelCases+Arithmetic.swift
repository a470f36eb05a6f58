import KeelGraph
import KeelTensor
import KeelTestSupport

extension KernelCases {
  /// Rows around the vectors' widths, rows repeated in a pattern, several tasks of every form.
  static let arithmetic: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for operation in Arithmetic.allCases {
      for channels in [3, 15, 16, 17, 33] {
        cases += [
          .arithmetic(operation, [37, channels], [channels]),
          .arithmetic(operation, [channels], [300, channels]),
          .arithmetic(operation, [3, 5, 7, channels], [3, 1, 1, channels]),
          .arithmetic(operation, [7, channels], [7, 1]),
        ]
      }
    }
    let large: [(Shape, Shape)] = [
      ([70_001], [70_001]), ([70_001], []), ([600, 257], [257]), ([6, 40, 41, 33], [6, 1, 1, 33]),
      ([600, 1], [600, 257]), ([900, 1, 33], [1, 5, 33]), ([2, 40_000], [40_000]),
      ([3, 1, 5, 1, 7], [3, 4, 1, 60, 7]),
    ]
    for (a, b) in large {
      cases += [.arithmetic(.multiply, a, b), .arithmetic(.maximum, b, a)]
    }
    for function in ElementwiseFunction.allCases {
      cases += [.function(function, [1, 17]), .function(function, [70_003])]
    }
    for channels in [1, 3, 16, 33, 65] {
      cases += [
        .parametricReLU([700, channels], slopes: channels),
        .parametricReLU([9, 8, 7, channels], slopes: 1),
        .dropout([3, 5, 6, channels], 0.3, unit: .channel), .dropout([37, channels], 0.3),
      ]
    }
    cases += [
      .parametricReLU([9000, 130], slopes: 130), .parametricReLU([9000, 130], slopes: 1),
      .dropout([9000, 130], 0.5), .dropout([40, 90, 9, 33], 0.5, unit: .channel),
    ]
    return cases
  }()

  /// Short and long runs, few and many rows, enough work for two threads in every form.
  static let reductions: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for kind in Reduction.Kind.allCases {
      for channels in [1, 3, 16, 17, 33] {
        cases += [
          .reduction(kind, [3, 20, 21, channels], [1, 2]),
          .reduction(kind, [5, 7, 7, channels], [1, 2]), .reduction(kind, [600, channels], [0]),
          .reduction(kind, [40, channels], [0]),
        ]
      }
      for length in [2, 3, 4, 5, 16, 17, 63, 64, 65, 100, 4097] {
        cases.append(.reduction(kind, [101, length], [1]))
      }
      cases += [
        .reduction(kind, [9000, 130], [0]), .reduction(kind, [2, 70_000, 2], [1]),
        .reduction(kind, [20, 300, 200], [1]), .reduction(kind, [2, 150_001], [1]),
        .reduction(kind, [150_001], [0]), .reduction(kind, [6, 50, 40, 16], [0, 2]),
        .reduction(kind, [40, 30, 20, 10], [1, 3]), .reduction(kind, [3, 50_000], [0]),
        .reduction(kind, [500_001, 2], [1]),
      ]
    }
    for divides in [false, true] {
      let pairs: [(Shape, [Extent])] = [
        ([33], [5000, 33]), ([6, 1, 1, 65], [6, 31, 30, 65]), ([70_000, 1], [70_000, 3]),
        ([90_000], [2, 90_000]), ([], [150_000]), ([40, 1, 30, 1], [40, 7, 30, 9]),
      ]
      cases += pairs.map {
        PrimitiveCase(
          "expand \($0.0) to \($0.1), divides \(divides)", .expand($0.1, divides: divides),
          [.init("x", $0.0)])
      }
    }
    return cases
  }()
}
