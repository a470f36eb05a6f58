public import KeelGraph
public import KeelTensor

extension Graph {
  /// The graph with batch norms folded into the convolutions and linear layers before them, and residual
  /// adds and activations done to each tile of the operation before them.
  ///
  /// Folding, with a = γ/√(v + ε) per channel: weight′[o, …] = weight[o, …]·a[o] and
  /// bias′ = (bias − mean)·a + β, computed in Double and rounded once. It needs given statistics (the
  /// graph for inference), numbers that are weights of the graph, and a result that nothing else takes.
  /// This graph is not changed. The report says what was done, and what was not and why. The result is
  /// for inference: GELU, SiLU and hard swish in an epilogue have no gradient.
  /// - Throws: `KeelError` where the graph is not well formed.
  public func folded() throws(KeelError) -> (graph: Graph, report: FoldReport) {
    var report = FoldReport()
    var editor = GraphEditor(self)
    Folding.run(&editor, &report)
    Fusion.run(&editor, &report, keepsGradients: false)
    return (try editor.finish(), report)
  }

  /// The graph with residual adds and activations done to each tile of the operation before them, nothing
  /// folded: for training, and to tell what fusing alone brings. Activations whose gradient needs their
  /// argument (GELU, SiLU, hard swish) stay operations of their own.
  /// - Throws: `KeelError` where the graph is not well formed.
  public func fused() throws(KeelError) -> (graph: Graph, report: FoldReport) {
    var report = FoldReport()
    var editor = GraphEditor(self)
    Fusion.run(&editor, &report, keepsGradients: true)
    return (try editor.finish(), report)
  }
}
