import BenchmarkHarness
import Foundation

/// Keel's side of `peers/compare.py`. Exit status: 0 at the end of the input, 2 for wrong arguments.
@main
enum Main {
  static func main() {
    guard CommandLine.arguments.count == 2 else {
      complain("usage: peer FOLDER (requests on standard input; see Service)")
      exit(2)
    }
    var service = Service(folder: CommandLine.arguments[1])
    while let line = readLine() {
      print(service.answer(line))
      fflush(nil)
    }
  }
}
