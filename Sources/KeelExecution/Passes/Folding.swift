internal import KeelGraph

/// Applies the folding rules until none does anything more.
///
/// A norm goes into the operation before it where it can (that costs nothing), and only then into those
/// after it, which may cost a map along the border of padded images. Every rule leaves a smaller number of
/// norms, adds and identities, so that this ends.
internal enum Folding {
  /// In order: after a rule has done something, all start again from the first.
  private static var rules: [any FoldingRule.Type] {
    [
      IdentityRemoval.self, ProducerFolding.self, BlockMapIntoProducer.self, BranchMerging.self,
      ConsumerFolding.self, BlockMapIntoConsumers.self,
    ]
  }

  static func run(_ state: inout FoldingState) {
    while rules.contains(where: { sweep($0, &state) }) {}
    for position in state.editor.nodes.indices { noteKept(position, &state) }
  }

  private static func sweep(_ rule: any FoldingRule.Type, _ state: inout FoldingState) -> Bool {
    var changed = false
    // Operations that the rule adds are none of its own concern.
    for position in state.editor.nodes.indices where state.editor.nodes[position] != nil {
      if (try? rule.apply(at: position, &state)) == true { changed = true }
    }
    return changed
  }

  /// Says why a norm, or arithmetic that is one, stays.
  private static func noteKept(_ position: Int, _ state: inout FoldingState) {
    guard let node = state.editor.nodes[position] else { return }
    if case .dropout = node.primitive {
      state.note(position, .kept(reason: "it is for training: take the inference form first"))
      return
    }
    // What plans compute once costs nothing.
    guard ConstantValues(state).numbers(node.outputs[0]) == nil else { return }
    var reasons: [String] = []
    let rules: [any FoldingRule.Type] = [
      ProducerFolding.self, ConsumerFolding.self, BlockMapIntoProducer.self,
      BlockMapIntoConsumers.self,
    ]
    for rule in rules {
      do throws(Refusal) {
        _ = try rule.apply(at: position, &state)
      } catch {
        if !reasons.contains(error.reason) { reasons.append(error.reason) }
      }
    }
    if !reasons.isEmpty { state.note(position, .kept(reason: reasons.joined(separator: "; "))) }
  }
}
