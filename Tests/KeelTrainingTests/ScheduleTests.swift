import KeelTensor
import KeelTraining
import Testing

@Suite struct ScheduleTests {
  private func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-15 }

  @Test func constant() throws {
    let schedule = try ConstantSchedule(0.1)
    #expect(schedule.rate(atStep: 0, of: 10) == 0.1)
    #expect(schedule.rate(atStep: 9, of: 10) == 0.1)
  }

  @Test func everySoManySteps() throws {
    let schedule = try StepSchedule(0.5, factor: 0.1, every: 30)
    for (step, rate) in [(0, 0.5), (29, 0.5), (30, 0.05), (59, 0.05), (60, 0.005), (95, 0.0005)] {
      #expect(close(schedule.rate(atStep: step, of: 100), rate), "step \(step)")
    }
  }

  @Test func milestones() throws {
    let schedule = try StepSchedule(1, factor: 0.5, milestones: [80, 10])
    for (step, rate) in [(0, 1.0), (9, 1), (10, 0.5), (79, 0.5), (80, 0.25), (1000, 0.25)] {
      #expect(schedule.rate(atStep: step, of: 100) == rate, "step \(step)")
    }
    let zero = try StepSchedule(1, factor: 0, every: 1)
    #expect(zero.rate(atStep: .max, of: .max) == 0)
  }

  /// 0.1·(1 + cos(π·step/100))/2, with the cosines of 0, 45, 90 and 135 degrees.
  @Test func cosine() throws {
    let schedule = try CosineSchedule(0.1)
    for (step, rate) in [
      (0, 0.1), (25, 0.08535533905932738), (50, 0.05), (75, 0.014644660940672628), (100, 0),
      (1000, 0),
    ] {
      #expect(close(schedule.rate(atStep: step, of: 100), rate), "step \(step)")
    }
    let floored = try CosineSchedule(0.1, final: 0.02)
    #expect(close(floored.rate(atStep: 50, of: 100), 0.06))
    #expect(floored.rate(atStep: 100, of: 100) == 0.02)
  }

  @Test func warmUp() throws {
    let schedule = try CosineSchedule(0.1, warmUp: 5)
    for (step, rate) in [
      (0, 0.02), (1, 0.04), (4, 0.1), (5, 0.1), (55, 0.05), (105, 0),
    ] {
      #expect(close(schedule.rate(atStep: step, of: 105), rate), "step \(step)")
    }
    // A training that is all warm-up, or over before it.
    #expect(close(schedule.rate(atStep: 4, of: 5), 0.1))
    #expect(close(schedule.rate(atStep: 2, of: 3), 0.06))
    #expect(schedule.rate(atStep: 5, of: 5) == 0)
  }

  @Test(arguments: [-0.1, .nan, .infinity])
  func badRates(_ rate: Double) {
    let expected = "a finite learning rate of at least 0"
    func expect(_ place: String, _ make: () throws -> any LearningRateSchedule) {
      let error = #expect(throws: KeelError.self) { try make() }
      #expect(
        error?.description == "argument error at \(place): expected \(expected), found \(rate)")
    }
    expect("ConstantSchedule") { try ConstantSchedule(rate) }
    expect("StepSchedule") { try StepSchedule(rate, every: 1) }
    expect("StepSchedule") { try StepSchedule(rate, milestones: []) }
    expect("CosineSchedule") { try CosineSchedule(rate) }
  }

  @Test func otherBadArguments() {
    func expect(_ message: String, _ make: () throws -> any LearningRateSchedule) {
      let error = #expect(throws: KeelError.self) { try make() }
      #expect(error?.description == "argument error at " + message)
    }
    expect("StepSchedule: expected an interval of at least 1 step, found 0") {
      try StepSchedule(1, every: 0)
    }
    expect("StepSchedule: expected milestones of at least 0, found -3") {
      try StepSchedule(1, milestones: [4, -3])
    }
    expect("StepSchedule: expected a finite factor of at least 0, found -1.0") {
      try StepSchedule(1, factor: -1, every: 1)
    }
    expect("CosineSchedule: expected a warm-up of at least 0 steps, found -1") {
      try CosineSchedule(1, warmUp: -1)
    }
    expect("CosineSchedule: expected a finite final learning rate of at least 0, found nan") {
      try CosineSchedule(1, final: .nan)
    }
  }
}
