// `import Keel` gives tensors, graphs, kernels, layers, execution and training; formats, data and images
// are imported by their own names, so that linking Keel pulls in none of their libraries.
@_exported import KeelExecution
@_exported import KeelGraph
@_exported import KeelKernels
@_exported import KeelLayers
@_exported import KeelLinearAlgebra
@_exported import KeelTensor
@_exported import KeelTraining
