internal import KeelExecution
public import KeelGraph
public import KeelTensor
internal import Logging

/// Trains a graph on samples with labels or targets: batches in a seeded order, gradients by a plan, steps by an
/// optimizer, running statistics by the graph's own updates, progress by callback.
///
/// The graph has an input for samples, an input for labels (int64) or targets (float32), and a scalar loss,
/// as `Graph.trainingGraph(of:input:loss:)` or a graph built by hand has. It is fused and differentiated here.
/// The same seed gives the same weights, bit for bit, for any number of threads. Where the graph has an
/// input for the seed of dropout, each step gets a number made of this seed and the step's index.
///
/// Not Sendable: one thread trains.
public final class Trainer {
  /// The names of what training needs in a graph.
  public struct Names: Hashable, Sendable {
    /// The input of samples.
    public var samples: String
    /// The input of labels or targets.
    public var labels: String
    /// The output of the loss.
    public var loss: String
    /// The input of the seed of dropout, if there is one.
    public var seed: String

    /// Makes names.
    public init(
      samples: String = "x", labels: String = "labels", loss: String = "loss",
      seed: String = Graph.seedName
    ) {
      self.samples = samples
      self.labels = labels
      self.loss = loss
      self.seed = seed
    }
  }

  /// How many samples a step sees.
  public let batchSize: Int
  /// The optimizer.
  public let optimizer: any Optimizer
  /// How gradients are clipped, if they are.
  public let clipping: GradientClipping?
  /// What holds for some weights only; the first group that matches counts.
  public let groups: [ParameterGroup]
  private let names: Names
  private let seed: UInt64
  private let sampleShape: Shape
  private let takesSeed: Bool
  /// The type and extents of one sample's label or target.
  private let labelType: ElementType
  private let labelShape: Shape
  /// The number of classes, where the loss takes labels, and the label that it ignores.
  private let classes: (count: Int, ignored: Int64?)?
  private let plan: Plan
  private let workspace: Workspace
  private var updates: WeightUpdates
  /// What no run reads and nothing changes any more: running statistics that are frozen.
  private let unread: [String: Tensor]
  private let logger = Logger(label: "keel.training")

  /// Prepares a training.
  /// - Parameters:
  ///   - clipping: what is done to gradients before each step.
  ///   - groups: learning rates and decays of some weights, and weights that are frozen.
  /// - Throws: `KeelError` for a batch size below 1, names that the graph lacks or one name for two
  ///   inputs, shapes that do not fit, a group that matches no weight, or an operation that has no
  ///   gradient.
  public init(
    _ graph: Graph, optimizer: any Optimizer, batchSize: Int, seed: UInt64 = 0,
    names: Names = Names(), clipping: GradientClipping? = nil, groups: [ParameterGroup] = [],
    threads: Int? = nil
  ) throws(KeelError) {
    guard batchSize >= 1 else {
      throw KeelError(
        .argument, at: "batch size", expected: "at least 1", found: "\(batchSize)")
    }
    guard names.samples != names.labels else {
      throw KeelError(
        .argument, at: "names", expected: "two inputs, for samples and labels",
        found: "\(names.samples) for both")
    }
    // Asked of the whole graph: the error lists the outputs that there are.
    _ = try graph.output(named: names.loss)
    guard let input = graph.inputs.first(where: { $0.name == names.samples }) else {
      throw KeelError(
        .graph, at: "input \(names.samples)", expected: "one of \(graph.inputs.map(\.name))",
        found: names.samples)
    }
    let sampleShape = try graph.sampleShape(of: input)
    self.sampleShape = sampleShape
    var editor = GraphEditor(try graph.fused().graph)
    editor.outputs.removeAll { $0.name != names.loss }
    let (trained, trainable, unread) = try editor.finish().freezing(groups)
    let differentiated = try trained.differentiated(names.loss, withRespectTo: .named(trainable))
      .gatheringMoments()
    guard let labels = differentiated.inputs.first(where: { $0.name == names.labels }) else {
      throw KeelError(
        .graph, at: "input \(names.labels)",
        expected: "one of \(graph.inputs.map(\.name).sorted())",
        found: names.labels)
    }
    let labelShape = try differentiated.sampleShape(of: labels)
    self.labelShape = labelShape
    labelType = differentiated.type(of: labels.value).elementType
    classes = differentiated.classes(ofLabels: labels.value)
    var inputShapes = [
      names.samples: Shape([batchSize] + sampleShape.extents),
      names.labels: Shape([batchSize] + labelShape.extents),
    ]
    takesSeed = differentiated.inputs.contains { $0.name == names.seed }
    if takesSeed { inputShapes[names.seed] = [] }
    plan = try Plan(
      differentiated, inputShapes: inputShapes,
      options: PlanOptions(threads: threads, weights: .variable))
    workspace = plan.makeWorkspace()
    updates = try WeightUpdates(
      of: trainable, in: workspace, optimizer: optimizer, clipping: clipping, groups: groups)
    self.unread = unread
    self.clipping = clipping
    self.groups = groups
    self.batchSize = batchSize
    self.optimizer = optimizer
    self.names = names
    self.seed = seed
    logger.debug(
      "plan",
      metadata: [
        "steps": "\(plan.stepCount)", "weights": "\(trainable.count)",
        "workspaceBytes": "\(plan.byteCount)",
      ])
  }

  /// What each step runs.
  package var graph: Graph { plan.graph }
  /// Every weight's present contents, running statistics too.
  public var weights: [String: Tensor] {
    workspace.weights.merging(unread) { present, _ in present }
  }

  /// Trains for a number of epochs; a last batch that is not full is left out of each.
  ///
  /// A second call goes on with the weights and the optimizer's state of the first, and sees its batches again.
  /// - Parameters:
  ///   - samples: N×….
  ///   - labels: N classes, or N×… of them where the loss has a row for each position.
  ///   - report: called after each step and epoch; it may throw to stop the training.
  /// - Throws: `KeelError` for shapes that do not fit, labels out of range, and of kind `numerical` for a
  ///   loss, or a norm of gradients to be clipped, that is not finite; and what `report` throws.
  public func fit(
    _ samples: Tensor, labels: IndexTensor, epochs: Int, augmentation: (any Augmentation)? = nil,
    report: (TrainingEvent) throws -> Void = { _ in }
  ) throws {
    try fit(samples, .int64(labels), epochs, augmentation, report)
  }

  /// Trains as with labels, for a loss that takes targets.
  /// - Parameter targets: N×….
  public func fit(
    _ samples: Tensor, targets: Tensor, epochs: Int, augmentation: (any Augmentation)? = nil,
    report: (TrainingEvent) throws -> Void = { _ in }
  ) throws {
    try fit(samples, .float32(targets), epochs, augmentation, report)
  }

  private func fit(
    _ samples: Tensor, _ labels: TensorValue, _ epochs: Int, _ augmentation: (any Augmentation)?,
    _ report: (TrainingEvent) throws -> Void
  ) throws {
    try check(samples, labels, epochs)
    let batches = try ShuffledBatches(
      count: samples.shape[0], batchSize: batchSize, dropsLast: true, seed: seed)
    let stepCount = epochs * batches.batchCount
    var step = 0
    for epoch in 0..<epochs {
      var source = RandomSource(seed: seed &+ UInt64(epoch) &* 0x9E37_79B9_7F4A_7C15)
      var total = 0.0
      for batch in batches.batches(epoch: epoch) {
        try fill(batch, samples, labels, augmentation, &source)
        let rate = optimizer.learningRate.rate(atStep: step, of: stepCount)
        let loss = try takeStep(rate: rate, step: step)
        total += Double(loss)
        try report(
          .step(
            .init(index: step, count: stepCount, epoch: epoch, loss: loss, learningRate: rate)))
        step += 1
      }
      let meanLoss = total / Double(batches.batchCount)
      logger.debug("epoch", metadata: ["index": "\(epoch)", "meanLoss": "\(meanLoss)"])
      try report(.epoch(.init(index: epoch, count: epochs, meanLoss: meanLoss)))
    }
  }

  private func check(_ samples: Tensor, _ labels: TensorValue, _ epochs: Int) throws(KeelError) {
    guard Array(samples.shape.extents.dropFirst()) == sampleShape.extents, samples.shape.rank >= 1
    else {
      throw KeelError(
        .shape, at: "training samples", expected: "N×\(sampleShape)", found: "\(samples.shape)")
    }
    let what = labelType == .int64 ? "labels" : "targets"
    guard labels.elementType == labelType,
      labels.shape == Shape([samples.shape[0]] + labelShape.extents)
    else {
      let each = labelShape.rank == 0 ? "" : " of \(labelShape)"
      throw KeelError(
        .shape, at: "training labels", expected: "\(samples.shape[0]) \(what)\(each)",
        found: labels.elementType == labelType
          ? "\(labels.shape)" : "\(labels.elementType.rawValue) \(labels.shape)")
    }
    if let classes, case .int64(let labels) = labels {
      let size = max(labelShape.elementCount, 1)
      for (index, label) in labels.elements.enumerated()
      where label != classes.ignored && (label < 0 || label >= classes.count) {
        throw KeelError(
          .value, at: "training labels", expected: "labels from 0 to \(classes.count - 1)",
          found: "\(label) for sample \(index / size)")
      }
    }
    guard epochs >= 0, !epochs.multipliedReportingOverflow(by: samples.shape[0]).overflow else {
      throw KeelError(
        .argument, at: "epochs", expected: "at least 0 and fewer than 2⁶³ steps",
        found: "\(epochs)")
    }
  }

  private func fill(
    _ batch: [Int], _ samples: Tensor, _ labels: TensorValue, _ augmentation: (any Augmentation)?,
    _ source: inout RandomSource
  ) throws {
    let size = sampleShape.elementCount
    try workspace.withInput(names.samples) { target in
      samples.withSpan { from in
        for (row, sample) in batch.enumerated() {
          for i in 0..<size { target[row * size + i] = from[sample * size + i] }
        }
      }
      augmentation?.apply(
        to: &target, shape: Shape([batch.count] + sampleShape.extents), using: &source)
    }
    switch labels {
    case .int64(let tensor):
      try workspace.setInput(names.labels, .int64(tensor.picking(batch, of: labelShape)))
    case .float32(let tensor):
      try workspace.setInput(names.labels, .float32(tensor.picking(batch, of: labelShape)))
    case .bool: preconditionFailure("labels were checked")
    }
  }

  private func takeStep(rate: Double, step: Int) throws(KeelError) -> Float {
    if takesSeed {
      let mixed = DropoutMask.mixed(seed &+ UInt64(step) &* 0x9E37_79B9_7F4A_7C15)
      let value = try IndexTensor([Int64(bitPattern: mixed)], shape: [])
      try workspace.setInput(names.seed, .int64(value))
    }
    try plan.run(workspace)
    let loss = try workspace.output(names.loss).floats(at: names.loss)[flat: 0]
    guard loss.isFinite else {
      throw KeelError(
        .numerical, at: "training step \(step)", expected: "a finite loss (a lower learning rate?)",
        found: "\(loss)")
    }
    try updates.step(rate: rate, place: "training step \(step)")
    return loss
  }
}

extension Graph {
  /// The graph without updates of frozen weights, the trainable weights that are not frozen, and the
  /// tensors that nothing takes any more.
  fileprivate func freezing(_ groups: [ParameterGroup]) throws(KeelError) -> (
    graph: Graph, trainable: [String], unread: [String: Tensor]
  ) {
    try groups.check(against: weights.map(\.name))
    func isFrozen(_ name: String) -> Bool { groups.first(matching: name)?.frozen ?? false }
    var editor = GraphEditor(self)
    editor.updates.removeAll { isFrozen($0.weight) }
    let graph = try editor.finish()
    let left = Set(graph.weights.map(\.name))
    let unread = weights.filter { !left.contains($0.name) }.map { ($0.name, $0.tensor) }
    let trainable = graph.weights.filter { $0.role == .trainable && !isFrozen($0.name) }
    return (graph, trainable.map(\.name), Dictionary(uniqueKeysWithValues: unread))
  }

  /// The classes of the loss that takes an input of labels.
  fileprivate func classes(ofLabels labels: ValueID) -> (count: Int, ignored: Int64?)? {
    for node in nodes {
      if case .loss(let loss) = node.primitive, loss.takesLabels, node.inputs[1] == labels,
        let count = type(of: node.inputs[0]).extents.last?.fixedValue
      {
        return (count, loss.ignoredLabel)
      }
    }
    return nil
  }

  /// The extents of an input but for the batch.
  fileprivate func sampleShape(of input: Graph.Input) throws(KeelError) -> Shape {
    let extents = type(of: input.value).extents.dropFirst().map(\.fixedValue)
    guard extents.allSatisfy({ $0 != nil }) else {
      throw KeelError(
        .shape, at: "input \(input.name)", expected: "known extents but for the batch",
        found: "\(type(of: input.value))")
    }
    return Shape(extents.map { $0! })
  }
}

extension DenseArray {
  /// Some samples of N×shape, one after another.
  fileprivate func picking(_ samples: [Int], of shape: Shape) -> DenseArray {
    let size = shape.elementCount
    return DenseArray(uninitialized: Shape([samples.count] + shape.extents)) { out in
      withSpan { from in
        for (row, sample) in samples.enumerated() {
          for i in 0..<size { out[row * size + i] = from[sample * size + i] }
        }
      }
    }
  }
}
