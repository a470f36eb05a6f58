internal import KeelGraph
internal import KeelTensor

/// Merges parallel branches that are added: a 1×1 convolution, a norm or the input itself goes into the
/// taps of a larger convolution of the same input (Ding et al. 2021, 2101.03697).
///
/// weight′[o, tap, c] = weight[o, tap, c] + other[o, tap′, c] where tap and tap′ read the same position;
/// the biases add. Sums of more than two branches are taken as a whole.
internal enum BranchMerging: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let root = state.editor.nodes[position], isAdd(root, state),
      !isInnerAdd(root.outputs[0], state)
    else { return false }
    var sum = Sum(root: position)
    collect(root, &sum, state)
    let before = sum.terms.count
    while let merge = nextMerge(sum.terms, state) { perform(merge, &sum, &state) }
    guard sum.terms.count < before else { return false }
    if sum.terms.count == 1 {
      state.note(position, .folded, into: name(of: sum.terms[0], state))
    }
    rebuild(sum, root, &state)
    return true
  }

  /// A tree of adds.
  private struct Sum {
    let root: Int
    var inner: [Int] = []
    var terms: [ValueID] = []

    init(root: Int) { self.root = root }
  }

  private struct Merge {
    let host: LinearBranch
    let guest: LinearBranch
    let guestTerm: Int
    let weights: WeightedMap
  }

  /// Whether nothing but another add takes a sum.
  private static func isInnerAdd(_ value: ValueID, _ state: FoldingState) -> Bool {
    state.editor.soleConsumer(of: value).map { isAdd(state.editor.nodes[$0]!, state) } ?? false
  }

  /// Whether an operation adds two values of one shape.
  private static func isAdd(_ node: Node, _ state: FoldingState) -> Bool {
    node.primitive == .add
      && state.editor.type(of: node.inputs[0]) == state.editor.type(of: node.inputs[1])
  }

  private static func collect(_ node: Node, _ sum: inout Sum, _ state: FoldingState) {
    for value in node.inputs {
      if state.hasOneConsumer(value), let position = state.editor.producer(of: value),
        let inner = state.editor.nodes[position], isAdd(inner, state)
      {
        sum.inner.append(position)
        collect(inner, &sum, state)
      } else {
        sum.terms.append(value)
      }
    }
  }

  /// Two terms of which one can take the other in; of several hosts the one with the most taps.
  private static func nextMerge(_ terms: [ValueID], _ state: FoldingState) -> Merge? {
    let branches = terms.map { LinearBranch(resultOf: $0, state) }
    let hosts = branches.indices.filter { branches[$0]?.map != nil }
      .sorted { branches[$0]!.tapCount > branches[$1]!.tapCount }
    for host in hosts {
      for guest in terms.indices where guest != host {
        // A value may be a branch of its own, or the input of the host.
        for branch in [branches[guest], LinearBranch(itself: terms[guest], state)] {
          if let branch, let weights = branches[host]!.absorbing(branch) {
            return Merge(
              host: branches[host]!, guest: branch, guestTerm: guest, weights: weights)
          }
        }
      }
    }
    return nil
  }

  private static func perform(_ merge: Merge, _ sum: inout Sum, _ state: inout FoldingState) {
    let host = merge.host.position!
    if let guest = merge.guest.position {
      state.note(guest, .folded, into: state.name(host))
      state.editor.nodes[guest] = nil
    }
    state.store(merge.weights, at: host)
    sum.terms.remove(at: merge.guestTerm)
  }

  private static func name(of term: ValueID, _ state: FoldingState) -> String? {
    state.editor.producer(of: term).map { state.name($0) }
  }

  /// Replaces the adds of a sum by those of the terms that are left.
  private static func rebuild(_ sum: Sum, _ root: Node, _ state: inout FoldingState) {
    for position in sum.inner + [sum.root] { state.editor.nodes[position] = nil }
    let type = state.editor.type(of: root.outputs[0])
    var value = sum.terms[0]
    for term in sum.terms.dropFirst() {
      value = state.editor.append(.add, [value, term], type, label: root.label)
    }
    state.editor.replaceUses(of: root.outputs[0], with: value)
  }
}
