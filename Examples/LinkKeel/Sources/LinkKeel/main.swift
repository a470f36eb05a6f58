import Keel

// Two images of 2×2 pixels and one channel, channels last.
let images = try Tensor([0, 1, 2, 3, 4, 5, 6, 7], shape: [2, 2, 2, 1])
print("\(images.shape): \(images.elements)")
