import KeelGraph
import KeelTensor

extension Graph {
  /// Records a model as a graph of one input and one output.
  ///
  /// The graph holds the parameters' contents of this moment; later changes of either are not seen by
  /// the other.
  ///
  /// - Parameters:
  ///   - model: what to record.
  ///   - input: the extents of the input, such as `[.batch, 8, 8, 1]`.
  ///   - name: the name of the input.
  ///   - mode: whether batch norms use the statistics of the batch.
  ///   - output: the name of the output.
  /// - Throws: the first `KeelError` that a layer met; it names the layer.
  public init<Model: Layer>(
    tracing model: Model, input: [Extent], name: String = "x", mode: Trace.Mode = .inference,
    output: String = "y"
  ) throws(KeelError) {
    let trace = Trace(model: model, mode: mode)
    trace.output(output, model(trace.input(name, ValueType(input))))
    self = try trace.finish()
  }

  /// Records a model with its loss: inputs `x` and `labels`, outputs `y` (the model's result) and `loss`;
  /// batch norms use the statistics of the batch and update the running ones.
  ///
  /// - Parameters:
  ///   - model: what to record.
  ///   - input: the extents of `x`, such as `[.batch, 8, 8, 1]`.
  ///   - loss: a loss of the result and one other operand, which is the input `labels`: int64 with an
  ///     extent for each row of the result's classes, or float32 of the result's shape.
  /// - Throws: the first `KeelError` that a layer met; it names the layer. Of kind `argument` for a loss
  ///   that takes other operands: record such a one with a `Trace`.
  public static func trainingGraph<Model: Layer>(
    of model: Model, input: [Extent], loss: Loss = Loss(.crossEntropy())
  ) throws(KeelError) -> Graph {
    guard loss.operandCount == 2 else {
      throw KeelError(
        .argument, at: "loss", expected: "one of a prediction and a target",
        found: "\(loss.name) of \(loss.operandCount) operands")
    }
    let trace = Trace(model: model, mode: .training)
    let y = model(trace.input("x", ValueType(input)))
    let extents = y.type?.extents ?? [.batch]
    let type = loss.takesLabels ? ValueType(.int64, Array(extents.dropLast())) : ValueType(extents)
    trace.output("y", y)
    trace.output("loss", y.loss(loss, trace.input("labels", type)))
    return try trace.finish()
  }
}
