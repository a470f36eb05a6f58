internal import Dispatch
internal import KeelKernels
internal import KeelTensor

/// Chooses algorithms while a plan is made.
internal struct AlgorithmSelection {
  private let options: PlanOptions
  private let file: String?
  /// What has been measured; nil where choices are estimated.
  private var table: AlgorithmTable?
  private var hasMeasured = false
  /// When measuring must end, in nanoseconds of the machine's clock.
  private let end: UInt64

  init(_ options: PlanOptions) {
    self.options = options
    guard case .measured(let seconds, let file) = options.choice else {
      (self.file, table, end) = (nil, nil, 0)
      return
    }
    let path =
      file ?? KeelEnvironment.current.cacheDirectory.map { $0 + "/choices.json" }
    self.file = path
    table = path.map { AlgorithmTable(readingFrom: $0) } ?? AlgorithmTable()
    end = DispatchTime.now().uptimeNanoseconds + UInt64(max(0, min(seconds, 1e9)) * 1e9)
  }

  /// The algorithm of a convolution with a constant weight.
  mutating func algorithm(
    for geometry: ConvolutionGeometry, batch: Int, weight: Tensor,
    _ demands: ConvolutionDemands
  ) throws(KeelError) -> ConvolutionAlgorithm {
    let estimated = ConvolutionAlgorithm.choice(
      for: geometry, batch: batch, exact: options.exact)
    guard case .measured = options.choice else { return estimated }
    let key = AlgorithmKey(
      geometry: geometry, batch: batch, threads: options.parallelism.threadCount,
      exact: options.exact, demands: demands)
    let candidates = ConvolutionAlgorithm.allCases.filter {
      $0.serves(geometry, demands) && ($0.isExact || !options.exact)
    }
    if let known = table?[key], candidates.contains(known) { return known }
    guard candidates.count > 1, DispatchTime.now().uptimeNanoseconds < end else { return estimated }
    var runs: [MeasuredRun] = []
    for candidate in candidates {
      runs.append(
        try MeasuredRun(candidate, geometry, batch, weight, parallelism: options.parallelism))
    }
    // In turn, so that what disturbs one disturbs all; the first round fills caches and maps pages.
    for round in 0..<Self.rounds {
      for i in runs.indices { runs[i].run(counts: round > 0) }
      if round > 0, DispatchTime.now().uptimeNanoseconds > end { break }
    }
    let best = runs.min { $0.least < $1.least }?.algorithm ?? estimated
    table?[key] = best
    hasMeasured = true
    return best
  }

  private static let rounds = 6

  /// Keeps what has been measured.
  /// - Throws: `KeelError` of kind `file` where the file cannot be written.
  func finish() throws(KeelError) {
    if hasMeasured, let file { try table?.write(to: file) }
  }
}

/// A convolution by one algorithm with operands of its own.
private struct MeasuredRun {
  let algorithm: ConvolutionAlgorithm
  private(set) var least = UInt64.max
  private let kernel: ConvolutionKernel
  private let parallelism: Parallelism
  private let x: Tensor
  private let packed: Tensor
  private var y: Tensor
  private var workspace: Tensor

  init(
    _ algorithm: ConvolutionAlgorithm, _ geometry: ConvolutionGeometry, _ batch: Int,
    _ weight: Tensor, parallelism: Parallelism
  ) throws(KeelError) {
    self.algorithm = algorithm
    self.parallelism = parallelism
    let kernel = try ConvolutionKernel(geometry, batch: batch, algorithm: algorithm)
    self.kernel = kernel
    x = Tensor(zeros: geometry.inputShape(batch: batch))
    y = Tensor(zeros: geometry.outputShape(batch: batch))
    workspace = Tensor(zeros: [max(1, kernel.workspaceCount(parallelism))])
    var packed = Tensor(zeros: [kernel.packedWeightCount])
    packed.withMutableSpan { packed in
      weight.withSpan { kernel.pack($0, into: &packed, parallelism: parallelism) }
    }
    self.packed = packed
  }

  mutating func run(counts: Bool) {
    let start = DispatchTime.now().uptimeNanoseconds
    x.withSpan { x in
      packed.withSpan { packed in
        y.withMutableSpan { y in
          workspace.withMutableSpan {
            kernel.run(
              x, packedWeight: packed, into: &y, workspace: &$0, parallelism: parallelism)
          }
        }
      }
    }
    if counts { least = min(least, DispatchTime.now().uptimeNanoseconds - start) }
  }
}
