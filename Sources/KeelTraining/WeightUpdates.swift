internal import KeelExecution
internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Clips gradients and moves weights, in the memory of a training plan's workspace; keeps the optimizer's
/// slots.
internal struct WeightUpdates {
  private struct Entry {
    let weight: UnsafeMutableBufferPointer<Float>
    let gradient: UnsafeMutableBufferPointer<Float>
    /// Whether no entry before this one has the same gradient memory: both operands of an add do.
    let ownsGradient: Bool
    let learningRateFactor: Double
    let weightDecay: Double
    /// slotNames × count.
    var slots: Tensor
  }

  private let optimizer: any Optimizer
  private let clipping: GradientClipping?
  private var entries: [Entry] = []
  /// The number of steps taken.
  private var index = 0
  /// Owns the memory that the entries point into, for as long as they do.
  private let workspace: Workspace

  init(
    of names: [String], in workspace: Workspace, optimizer: any Optimizer,
    clipping: GradientClipping?, groups: [ParameterGroup]
  ) throws(KeelError) {
    self.workspace = workspace
    self.optimizer = optimizer
    self.clipping = clipping
    var seen: Set<UnsafeMutablePointer<Float>> = []
    for name in names {
      let weight = try workspace.weightMemory(name)
      let gradient = try workspace.outputMemory(Graph.gradientName(name))
      let group = groups.first(matching: name)
      entries.append(
        Entry(
          weight: weight, gradient: gradient,
          ownsGradient: seen.insert(gradient.baseAddress!).inserted,
          learningRateFactor: group?.learningRateFactor ?? 1,
          weightDecay: group?.weightDecay ?? optimizer.weightDecay,
          slots: Tensor(zeros: [optimizer.slotNames.count, weight.count])))
    }
  }

  /// Takes one step along the gradients of the workspace's last run.
  /// - Throws: `KeelError` of kind `numerical`, before any weight moves, where gradients are to be clipped
  ///   by a norm that is not finite.
  mutating func step(rate: Double, place: @autoclosure () -> String) throws(KeelError) {
    switch clipping?.kind {
    case .value(let limit):
      for entry in entries where entry.ownsGradient {
        var gradient = entry.gradient.mutableSpan
        GradientKernel.clip(&gradient, limit: Float(limit))
      }
    case .norm(let limit): try clipNorm(limit, place())
    case nil: break
    }
    let optimizer = optimizer
    for i in entries.indices {
      let (weight, gradient) = (entries[i].weight, entries[i].gradient)
      let step = OptimizerStep(
        index: index, rate: rate * entries[i].learningRateFactor,
        weightDecay: entries[i].weightDecay)
      entries[i].slots.withMutableSpan { slots in
        var span = weight.mutableSpan
        optimizer.step(step, weight: &span, slots: &slots, gradient: gradient.span)
      }
    }
    index += 1
  }

  private func clipNorm(_ limit: Double, _ place: String) throws(KeelError) {
    var total = 0.0
    for entry in entries { total += GradientKernel.squareSum(entry.gradient.span) }
    total = total.squareRoot()
    guard total.isFinite else {
      throw KeelError(
        .numerical, at: place, expected: "a finite norm of the gradients", found: "\(total)")
    }
    let factor = GradientClipping.factor(limit: limit, total: total)
    guard factor < 1 else { return }
    for entry in entries where entry.ownsGradient {
      var gradient = entry.gradient.mutableSpan
      GradientKernel.scale(&gradient, by: Float(factor))
    }
  }
}
