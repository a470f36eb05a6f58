@_exported import KeelExecution
@_exported import KeelFormats
@_exported import KeelGraph
@_exported import KeelKernels
@_exported import KeelLayers
@_exported import KeelLinearAlgebra
@_exported import KeelTensor
@_exported import KeelTraining
