/// The number of values of an image of features behind a flatten: 0 where an extent is below 1, the
/// largest number where the product is too large, so that the linear layer behind it names the mistake.
internal func featureCount(_ height: Int, _ width: Int, _ channels: Int) -> Int {
  guard height >= 1, width >= 1, channels >= 1 else { return 0 }
  let (positions, overflows) = height.multipliedReportingOverflow(by: width)
  let (count, overflowsToo) = positions.multipliedReportingOverflow(by: channels)
  return overflows || overflowsToo ? .max : count
}
