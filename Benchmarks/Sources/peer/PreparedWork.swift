import Keel

/// What `prepare` and `normalize` leave, ready to run again and again.
protocol PreparedWork: AnyObject {
  /// Runs once.
  func run() throws(KeelError)
  /// A result of the last run.
  /// - Throws: `KeelError` where there is none of that name.
  func result(_ name: String) throws(KeelError) -> Tensor
}

extension PreparedPass: PreparedWork {
  /// The one result, whatever it is called.
  func result(_ name: String) throws(KeelError) -> Tensor { result }
}
