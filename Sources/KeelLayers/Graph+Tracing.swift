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

  /// Records a classifier with its loss: inputs `x` and `labels` (int64, one per sample), outputs `y`
  /// (the logits) and `loss` (the mean softmax cross-entropy); batch norms use the statistics of the
  /// batch and update the running ones.
  ///
  /// - Parameters:
  ///   - model: what to record; its result is N×K logits.
  ///   - input: the extents of `x`, such as `[.batch, 8, 8, 1]`.
  /// - Throws: the first `KeelError` that a layer met; it names the layer.
  public static func trainingGraph<Model: Layer>(of model: Model, input: [Extent])
    throws(KeelError) -> Graph
  {
    let trace = Trace(model: model, mode: .training)
    let x = trace.input("x", ValueType(input))
    let labels = trace.input("labels", ValueType(.int64, [input.first ?? .batch]))
    let logits = model(x)
    trace.output("y", logits)
    trace.output("loss", logits.softmaxCrossEntropy(labels: labels))
    return try trace.finish()
  }
}
