public import KeelGraph
public import KeelTensor

extension Graph {
  /// The graph with batch norms folded into the operations beside them, parallel branches merged,
  /// operations that do nothing removed, and residual adds and activations done to each tile of the
  /// operation before them.
  ///
  /// With a = γ/√(v + ε) and t = β − mean·a per channel:
  ///
  /// - a norm behind a convolution, transposed or not, or a linear layer: weight′[o, …] = a[o]·weight[o, …],
  ///   bias′ = a·bias + t; behind another norm: scale′ = a·scale, shift′ = a·shift + t;
  /// - a norm before one: weight′[o, …, c] = weight[o, …, c]·a[c], bias′ = bias + Σ weight·t, and a map in
  ///   place of that sum where the padding, which is not normed, or a transposed convolution makes it
  ///   another one at each position;
  /// - arithmetic with constants, of one number or one per channel, is taken as the norm that it is;
  /// - poolings, movements, reshapes and activations between them that the norm commutes with do not matter;
  /// - a whitening by running statistics, with its mean and affine, behind a convolution or linear layer:
  ///   weight′ = M·weight, bias′ = M·(bias − mean) + shift; before one without padding: weight′ = weight·M;
  /// - branches that are added: 1×1 convolutions, norms and the input itself go into the taps of a larger
  ///   convolution of the same input.
  ///
  /// Weights are computed in Double and rounded once, whatever number of steps changes them. Folding needs
  /// given statistics (the graph for inference, or frozen norms) and numbers that are weights of the graph.
  /// A result that something else takes too is computed a second time where that is cheaper than the norm
  /// (at most 16 multiply-adds per element), otherwise the norm stays. The report says what was done, and
  /// what was not and why. This graph is not changed. The result is for inference: GELU, SiLU and hard swish
  /// in an epilogue have no gradient, and gradients are those of the folded weights.
  /// - Parameter extent: how far to go where folding has a price.
  /// - Throws: `KeelError` where the graph is not well formed.
  public func folded(_ extent: FoldExtent = .whereItPays) throws(KeelError) -> (
    graph: Graph, report: FoldReport
  ) {
    let result = try foldedExactly(extent)
    return (result.graph, result.report)
  }

  /// The folded graph with its new weights as they were before they were rounded to Float, by name: with
  /// these the reference shows that folding is exact, and not only as exact as Float.
  package func foldedExactly(_ extent: FoldExtent = .whereItPays) throws(KeelError) -> (
    graph: Graph, report: FoldReport, weights: [String: DoubleTensor]
  ) {
    var folding = FoldingState(self, extent)
    Folding.run(&folding)
    var fusion = Fusion(folding.editor, names: folding.names, keepsGradients: false)
    fusion.run()
    let graph = try fusion.editor.finish()
    var weights: [String: DoubleTensor] = [:]
    for (value, tensor) in folding.exact {
      if let name = folding.editor.weight(value)?.name, graph.weight(named: name) != nil {
        weights[name] = tensor
      }
    }
    return (graph, FoldReport(entries: folding.sortedEntries + fusion.entries), weights)
  }

  /// The graph with residual adds and activations done to each tile of the operation before them, nothing
  /// folded: for training, and to tell what fusing alone brings. Activations whose gradient needs their
  /// argument (GELU, SiLU, hard swish) stay operations of their own.
  /// - Throws: `KeelError` where the graph is not well formed.
  public func fused() throws(KeelError) -> (graph: Graph, report: FoldReport) {
    let editor = GraphEditor(self)
    var fusion = Fusion(editor, names: OperationNames(editor.nodes), keepsGradients: true)
    fusion.run()
    return (try fusion.editor.finish(), FoldReport(entries: fusion.entries))
  }
}
