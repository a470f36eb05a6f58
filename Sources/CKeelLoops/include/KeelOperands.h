/* What the leaf loops take. */
#ifndef KEELOPERANDS_H
#define KEELOPERANDS_H

/* Where a sliding window reads: position (n, k, i, j) of a grid sees, for run r, `runTaps[r]` neighbouring
   source pixels that start at plane k*stepZ + runZ[r], row i*stepY + runY[r], column j*stepX + runX[r];
   images have one plane, sequences one plane of one row. Pixels outside the source read as zero. */
typedef struct KeelWindow {
  long sourceDepth, sourceHeight, sourceWidth;
  long sourceStride; /* floats from one source pixel to the next */
  long channels;     /* floats used of each pixel */
  long gridDepth, gridHeight, gridWidth;
  long stepZ, stepY, stepX;
  long runCount;
  const long *runZ, *runY, *runX, *runTaps;
  const long *runOffset; /* floats from the pixel at the steps to the run's first, over whole planes */
  /* Where runs of one tap make a rectangle of neighbouring pixels of one plane, row by row: its extents; else
     0. */
  long tapRows, tapColumns;
  /* The rows and columns of an image of heldHeight × heldWidth pixels that the source's are, below 0 for zeros; null
     where the source lies as it is. `locate` alone heeds them, for images and runs of one tap. */
  const long *rows, *columns;
  long heldHeight, heldWidth;
} KeelWindow;

/* What a loop fetches ahead: what its caller knows not to be in the second level of caches. */
enum { KEEL_FETCH_NOTHING = 0, KEEL_FETCH_RESULT = 1, KEEL_FETCH_BOTH = 2 };

/* One axis of a pooling. */
typedef struct KeelPoolAxis {
  long input, output;
  long window; /* taps of a window of which nothing is cut off */
  long step;   /* pixels from one tap to the next */
  /* For each output position: the first tap inside the source, how many are, and the axis's factor of
     what an average is divided by. */
  const long *first, *count, *divisor;
} KeelPoolAxis;

/* A pooling of volumes of z.input × y.input × x.input pixels; images are volumes of one plane. */
typedef struct KeelPool {
  KeelPoolAxis z, y, x;
  long channels;
  long xStride, yStride; /* floats from one pixel of the source, of the result, to the next; gradients
                            take both to be `channels` */
  long taps;          /* of a window of which nothing is cut off */
  const long *offset; /* floats from such a window's first pixel to each, where there are at most 64 */
  int tiles;          /* every pixel lies in exactly one window */
} KeelPool;

/* What statistics do to elements: z = (x − c)/s. The divisor's root r is that of the population variance, of
   the unbiased one, of the mean square, or of the sum of squares. */
enum KeelDivisor {
  KEEL_NO_DIVISOR = 0,
  KEEL_DEVIATION = 1,
  KEEL_SAMPLE_DEVIATION = 2,
  KEEL_ROOT_MEAN_SQUARE = 3,
  KEEL_NORM = 4
};
enum KeelEpsilon {
  KEEL_EPSILON_INSIDE = 0, /* s = √(r² + ε) */
  KEEL_EPSILON_BESIDE = 1, /* s = r + ε */
  KEEL_EPSILON_FLOOR = 2   /* s = max(r, ε) */
};
typedef struct KeelOperation {
  int centers; /* whether c is the mean, else 0 */
  int divisor, placement;
  float epsilon;
} KeelOperation;

/* The moments of cells: number of elements, mean as a rounded float and the rest, Σ(x − mean)². Null counts
   are 1, null rests 0. */
typedef struct KeelMoments {
  const float *count, *mean, *rest, *deviations;
} KeelMoments;

/* z = scale·(x − pivot) + shift per channel; with rowScale and rowShift not null v = rowScale·z + rowShift,
   which advance by their strides with each row, else v = z. */
typedef struct KeelMap {
  const float *pivot, *scale, *shift;
  const float *rowScale, *rowShift;
  long scaleStride, shiftStride;
} KeelMap;

/* y[r·yStep + c] = Σ_k x[r·xStep + k]·b[k, c] + Σ_k more[r·yStep + k]·b[depth + k, c] + shift[c]
   + residual[r·yStep + c], with b as one panel of `packPanel`, or two, one after the other. */
typedef struct KeelBlockMap {
  float *y;
  const float *x;
  const float *more, *shift, *residual; /* may be null */
  long yStep, xStep, depth;
  const float *b;
  int streams; /* y goes past the caches where it is made of whole lines, and `drain` must follow */
  /* Lines of 16 floats that are brought nearer meanwhile, from each of two places, of which the second goes with
     `more`. */
  const float *near, *nearMore;
  long lines;
} KeelBlockMap;

/* Activations that sums get before they are stored. */
enum KeelCutKind {
  KEEL_CUT_NONE = 0,
  KEEL_CUT_BELOW = 1, /* at 0: ReLU */
  KEEL_CUT_BOTH = 2   /* at low and at high */
};
typedef struct KeelCut {
  int kind;
  float low, high;
} KeelCut;

/* The tiles of a result that Winograd's filtering makes: `size`² pixels each, row by row of each image, fewer at
   the lower and right edges. */
typedef struct KeelWinogradTiles {
  long size;          /* 2 or 4 */
  long height, width; /* of an image of the result */
  long step, row;     /* from one component to the next, and from one tile to the next */
  float *y;         /* null where only what is pooled is wanted */
  long yRow, yStep; /* from one line of an image to the next, and from one pixel to the next */
  const float *bias, *residual; /* may be null */
  long residualRow, residualStep;
  KeelCut cut;
  float *pooled; /* the maxima of 2×2 pixels each, height/2 × width/2 of an image; may be null */
  long pooledRow, pooledStep;
} KeelWinogradTiles;

/* What is done to sums before they are stored: y = cut(sum + bias[column] + the float that lies `residual` floats
   from y's). */
typedef struct KeelEpilogue {
  const float *bias; /* of the first column; may be null */
  int adds;          /* whether there is a residual */
  long residual;
  KeelCut cut;
} KeelEpilogue;

/* How a backward pass knows where the activation was active. */
enum KeelMask {
  KEEL_MASK_NONE = 0,      /* there was no activation */
  KEEL_MASK_RECOMPUTE = 1, /* active where v > 0 */
  KEEL_MASK_OUTPUT = 2     /* active where the saved output > 0 */
};

/* The numbers of one step of Adam. */
typedef struct KeelAdam {
  float rate;    /* of this step, over 1 − beta1ᵗ */
  float beta1, beta2;
  float root;    /* 1/√(1 − beta2ᵗ) */
  float epsilon; /* outside the root */
  float decay;   /* coupled: times w, added to the gradient */
  float shrink;  /* decoupled: times w, taken from w */
} KeelAdam;

/* The elementwise functions. Their two parameters: slope of leaky ReLU in a; ELU and SELU are a·x above 0
   and b·(e^x − 1) below; clip is from a to b. */
enum {
  KEEL_RELU,
  KEEL_SIGMOID,
  KEEL_TANH,
  KEEL_LEAKY_RELU,
  KEEL_ELU,
  KEEL_SOFTPLUS,
  KEEL_GELU,
  KEEL_GELU_TANH,
  KEEL_SILU,
  KEEL_HARD_SIGMOID,
  KEEL_HARD_SWISH,
  KEEL_CLIP
};

typedef struct KeelActivation {
  int kind;
  float a, b;
} KeelActivation;

/* The losses of single elements. Their parameters: β of smooth L1, δ of Huber, γ of focal and the margin
   in a; α of focal in b, below 0 for none. */
enum {
  KEEL_SQUARED_ERROR,
  KEEL_ABSOLUTE_ERROR,
  KEEL_SMOOTH_L1,
  KEEL_HUBER,
  KEEL_LOGISTIC,
  KEEL_BINARY,
  KEEL_BINARY_FOCAL,
  KEEL_KL,
  KEEL_RANKING
};

typedef struct KeelLoss {
  int kind;
  float a, b;
  float weight; /* the third operand where there is none for each element */
} KeelLoss;

/* Arithmetic of two operands. */
enum {
  KEEL_ADD,
  KEEL_SUBTRACT,
  KEEL_MULTIPLY,
  KEEL_DIVIDE,
  KEEL_LARGER_OF,
  KEEL_SMALLER_OF,
  KEEL_POWER
};
/* The gradients of arithmetic that have a loop: KEEL_LARGER_OF, KEEL_SMALLER_OF and these. */
enum { KEEL_BASE = 16, KEEL_EXPONENT };

/* An operand on rows × channels: element (r, c) is values[r*row + c*step]; row may be 0, step is 0 or 1. */
typedef struct KeelBroadcast {
  const float *values;
  long row;
  int step;
} KeelBroadcast;

/* Functions of one operand. */
enum {
  KEEL_NEGATE,
  KEEL_ABSOLUTE,
  KEEL_EXPONENTIAL,
  KEEL_LOGARITHM,
  KEEL_SQUARE_ROOT,
  KEEL_RECIPROCAL,
  KEEL_SQUARE,
  KEEL_SIGN,
  KEEL_ERROR_FUNCTION
};

/* What a reduction gathers. */
enum { KEEL_SUM, KEEL_ABSOLUTE_SUM, KEEL_SQUARE_SUM, KEEL_LARGEST, KEEL_SMALLEST };

/* What tells one sequence of random bits from another. */
typedef struct KeelKey {
  unsigned first, second;
} KeelKey;

#endif
