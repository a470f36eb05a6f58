/// What a training tells its caller.
public enum TrainingEvent: Hashable, Sendable {
  /// A step is done.
  case step(Step)
  /// An epoch is done.
  case epoch(Epoch)

  /// One step.
  public struct Step: Hashable, Sendable {
    /// The step, counted from 0 over the whole training.
    public let index: Int
    /// The number of steps of the training.
    public let count: Int
    /// The epoch, counted from 0.
    public let epoch: Int
    /// The batch's loss before the step.
    public let loss: Float
    /// The learning rate.
    public let learningRate: Double
  }

  /// One epoch.
  public struct Epoch: Hashable, Sendable {
    /// The epoch, counted from 0.
    public let index: Int
    /// The number of epochs of the training.
    public let count: Int
    /// The mean of its steps' losses.
    public let meanLoss: Double
  }
}
