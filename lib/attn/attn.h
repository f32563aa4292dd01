/* SPDX-License-Identifier: MIT */
/*
 * libattn: continual attention for live streams. It computes the output of each new frame from a state on the caller's
 * memory; it knows nothing of sockets, threads, files (but for the model loader), logs or the environment.
 *
 *     #include <attn/attn.h>
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *     #include <string.h>
 *
 *     int main(void)
 *     {
 *         struct attn_options options;
 *         memset(&options, 0, sizeof(options)); // the default of all that is not set below
 *         options.size = sizeof(options);
 *         options.method = ATTN_NYSTROM;
 *         options.heads = 2;
 *         options.head_dim = 4;
 *         options.window = 12;
 *         options.landmarks = 3;
 *         struct attn_plan *plan;
 *         struct attn_reason why;
 *         if (attn_plan_new(&plan, &options, &why) != 0) {
 *             fprintf(stderr, "%s\n", why.text);
 *             return EXIT_FAILURE;
 *         }
 *         struct attn_info info;
 *         info.size = sizeof(info);
 *         attn_plan_info(plan, &info);
 *         // The state and, behind it, the scratch memory, each at a multiple of ATTN_ALIGN; C11 has aligned_alloc.
 *         char *block = (char *)malloc(info.state_bytes + info.scratch_bytes + ATTN_ALIGN);
 *         if (block == NULL)
 *             return EXIT_FAILURE;
 *         char *memory = block + (ATTN_ALIGN - (uintptr_t)block % ATTN_ALIGN), *scratch = memory + info.state_bytes;
 *         struct attn_state *state = attn_init(plan, memory);
 *         for (int t = 0; t < 100; t++) {
 *             float frame[3 * 2 * 4], output[2 * 4];       // q, k and v of each head in; one vector a head out
 *             for (int i = 0; i < 3 * 2 * 4; i++)
 *                 frame[i] = (float)((7 * t + i) % 10) / 10;
 *             attn_push(plan, state, frame, ATTN_SCORES, output, scratch);
 *             printf("%d %f\n", t, output[0]);
 *         }
 *         free(block);
 *         attn_plan_free(plan);
 *         return EXIT_SUCCESS;
 *     }
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the shared library shows to others. */
#ifdef __GNUC__
#define ATTN_API __attribute__((visibility("default")))
#else
#define ATTN_API
#endif

/** Alignment, in bytes, that states and scratch memory must have. */
#define ATTN_ALIGN 64

/** Errors: name, value, text. Functions return 0 or one of these (negative). */
#define ATTN_ERRORS(X) \
    X(ATTN_E_OPTIONS, -1, "the options contradict each other or are out of range") \
    X(ATTN_E_FRAME, -2, "the frame holds a NaN or an infinity") \
    X(ATTN_E_MEMORY, -3, "no memory") \
    X(ATTN_E_FILE, -4, "the file cannot be read") \
    X(ATTN_E_MODEL, -5, "the file is not a valid model") \
    X(ATTN_E_SUPPORT, -6, "not supported by this version") \
    X(ATTN_E_STATE, -7, "not a saved state of this plan")

enum attn_error {
#define X(name, value, text) name = value,
    ATTN_ERRORS(X)
#undef X
};

/** The text of an error; never NULL. Any thread. */
ATTN_API const char *attn_error_text(int error);

/** "0.1.0": the version of the library that runs. Any thread. */
ATTN_API const char *attn_version(void);

/** Why something was refused: one sentence with the number or the name at fault. Filled only on errors. */
struct attn_reason {
    char text[256];
};

enum attn_method { ATTN_EXACT, ATTN_NYSTROM };
enum attn_landmark_policy { ATTN_LANDMARKS_MEANS, ATTN_LANDMARKS_FIXED };
enum attn_refresh { ATTN_REFRESH_IMMEDIATE, ATTN_REFRESH_SPREAD };
enum attn_inverse_scale { ATTN_INVERSE_MATRIX, ATTN_INVERSE_HEADS };

/** The instruction sets that kernels are written for. Within a variant, equal frames give equal bits on every machine; between
 *  variants outputs differ in the last bits. */
enum attn_variant {
    ATTN_VARIANT_BEST,      /**< the fastest that this machine has */
    ATTN_VARIANT_GENERIC,   /**< any machine */
    ATTN_VARIANT_AVX2,      /**< x86-64 with AVX2 and FMA */
    ATTN_VARIANT_AVX512,    /**< x86-64 with AVX-512 F, VL, DQ and BW */
    ATTN_VARIANT_NEON       /**< AArch64 */
};

/** "generic", "avx2", …: the name of a variant; NULL where this build or this machine has not got it. The name of
 *  ATTN_VARIANT_BEST is that of the variant it stands for. Any thread. */
ATTN_API const char *attn_variant_name(enum attn_variant variant);

/** What an attention computes; zero is a valid default of each option but heads, head_dim and window. */
struct attn_options {
    size_t size;                                /**< sizeof(struct attn_options), so that the struct can grow */
    enum attn_method method;
    uint32_t heads;                             /**< H */
    uint32_t head_dim;                          /**< d, floats */
    uint32_t window;                            /**< n, frames */
    uint32_t landmarks;                         /**< m, 0 for the exact method */
    enum attn_landmark_policy landmark_policy;
    enum attn_refresh refresh;
    enum attn_inverse_scale inverse_scale;
    int retroactive;
    const float *q_landmarks, *k_landmarks;     /**< [H][m][d] each, only for fixed landmarks; copied by attn_plan_new */
    enum attn_variant variant;
};

/** Everything of a computation that no frame changes: a raw attention, or a model with its weights. Immutable after its
 *  making, so that any number of threads may use one plan at the same time. */
struct attn_plan;

/** The state of one stream: one block of attn_info.state_bytes on the caller's memory, used by one thread at a time. */
struct attn_state;

/** Makes the plan of a raw attention: a frame is q | k | v, [3][H][d] floats; an output is [H][d] floats, of a retroactive one
 *  [n][H][d]: row r for position t − n + 1 + r, zeros where that is negative.
 *  *plan is the caller's, to be freed with attn_plan_free; on an error it is left as it was. `why` may be NULL. Any
 *  thread, as for the two below.
 *  Errors: ATTN_E_OPTIONS, ATTN_E_SUPPORT, ATTN_E_MEMORY. */
ATTN_API int attn_plan_new(struct attn_plan **plan, const struct attn_options *options, struct attn_reason *why);

/** How a model is to be computed; all zeros but the size, or NULL in its place, is the default. */
struct attn_model_options {
    size_t size;                /**< sizeof(struct attn_model_options) */
    enum attn_variant variant;
};

/** Makes the plan of a model from a safetensors file (attnd-model(7)); nothing in the file is trusted. *plan and `why`
 *  as above; `options` may be NULL. Errors: ATTN_E_FILE, ATTN_E_MODEL, ATTN_E_OPTIONS, ATTN_E_SUPPORT, ATTN_E_MEMORY. */
ATTN_API int attn_plan_load(struct attn_plan **plan, const char *path, const struct attn_model_options *options,
                            struct attn_reason *why);

/** The same from the bytes of such a file, of any alignment, which are not needed afterwards. A library that was built without
 *  its loader answers both with ATTN_E_SUPPORT.
 *  Errors: ATTN_E_MODEL, ATTN_E_OPTIONS, ATTN_E_SUPPORT, ATTN_E_MEMORY. */
ATTN_API int attn_plan_parse(struct attn_plan **plan, const void *bytes, size_t n_bytes,
                             const struct attn_model_options *options, struct attn_reason *why);

enum attn_residual_tap { ATTN_TAP_NEWEST, ATTN_TAP_OLDEST };
enum attn_norm_place { ATTN_NORM_POST, ATTN_NORM_PRE };
enum attn_activation { ATTN_GELU, ATTN_RELU };
enum attn_head { ATTN_HEAD_SOFTMAX, ATTN_HEAD_SIGMOID, ATTN_HEAD_IDENTITY };
enum attn_head_merge { ATTN_MERGE_CONCAT, ATTN_MERGE_RAW };

/** One layer of a model; see CONFIGURATION in attnd-model(7) for what the fields mean and may be. */
struct attn_layer_description {
    size_t size;                /**< sizeof(struct attn_layer_description) */
    enum attn_method method;
    uint32_t landmarks;         /**< m, 0 for the exact method */
    enum attn_landmark_policy landmark_policy;
    enum attn_refresh refresh;
    enum attn_inverse_scale inverse_scale;
    int retroactive;            /**< only of the first layer of two */
    enum attn_head_merge head_merge;
};

/** The architecture of a model whose weights the caller has in memory. */
struct attn_model_description {
    size_t size;                /**< sizeof(struct attn_model_description) */
    uint32_t input_dim;
    uint32_t model_dim;         /**< E */
    uint32_t heads;             /**< H, which divides E */
    uint32_t window;            /**< n, frames, of every layer */
    uint32_t positions;         /**< P, 0: no positional encoding */
    enum attn_residual_tap residual_tap;
    enum attn_norm_place norm;
    enum attn_activation activation;
    enum attn_head head;
    uint32_t n_layers;
    const struct attn_layer_description *layers;
    uint32_t n_labels;          /**< 0: the outputs have no names */
    const char *const *labels;
};

/** A tensor of such a model, with the name and the shape that it has in a model file. */
struct attn_tensor_data {
    const char *name;
    const uint64_t *shape;      /**< [rank] */
    uint32_t rank;
    const float *values;        /**< row-major */
};

/** The same from a configuration and tensors in memory, of which nothing is needed afterwards; checked as a file's are. The
 *  plan's hash is that of both. Errors: ATTN_E_MODEL, ATTN_E_OPTIONS, ATTN_E_MEMORY. */
ATTN_API int attn_plan_build(struct attn_plan **plan, const struct attn_model_description *description,
                             const struct attn_tensor_data *tensors, size_t n_tensors,
                             const struct attn_model_options *options, struct attn_reason *why);

/** Frees a plan; NULL is allowed. No state of it may be used afterwards. */
ATTN_API void attn_plan_free(struct attn_plan *plan);

/** Which of a model's vectors an output is; a raw attention has only ATTN_SCORES. */
enum attn_output {
    ATTN_SCORES,        /**< the head after softmax, sigmoid or identity */
    ATTN_LOGITS,        /**< the head before it */
    ATTN_EMBEDDING      /**< LN(y), what the head sees */
};

/** What a plan is, for those who describe it. Pointers live as long as the plan. */
struct attn_info {
    size_t size;                /**< in: sizeof(struct attn_info); no more than that is written */
    uint32_t input_dim;         /**< floats in a frame */
    uint32_t model_dim;         /**< E */
    uint32_t heads;             /**< H */
    uint32_t window;            /**< n of the first layer, frames */
    uint32_t layers;            /**< 1 for a raw attention */
    uint32_t replay_frames;     /**< R: an output is a function of the last R applied frames and of its position */
    uint32_t warming_frames;    /**< outputs of positions below this are warming: n − 1, summed over layers of their own window */
    size_t state_bytes;         /**< size of the state of one stream, a multiple of ATTN_ALIGN */
    size_t scratch_bytes;       /**< size of the scratch memory of one push, a multiple of ATTN_ALIGN */
    uint32_t n_labels;          /**< 0 where the model names none */
    const char *const *labels;
    const char *frontend;       /**< the model's front-end as JSON text, or NULL */
    uint64_t hash;              /**< of the options but variant, or of a model's whole file, for telling plans apart */
    size_t saved_bytes;         /**< size of what attn_save writes */
    enum attn_variant variant;  /**< the kernels in use, never ATTN_VARIANT_BEST */
    uint32_t output_rows;       /**< 1; n of a retroactive raw attention */
    const char *events;         /**< when scores become events, as JSON text (attnd-model(7)), or NULL */
};

/** Fills *info, as much of it as info->size says. Returns 0, or ATTN_E_OPTIONS where the size is none that any version had. Any
 *  thread. */
ATTN_API int attn_plan_info(const struct attn_plan *plan, struct attn_info *info);

/** Bytes of scratch memory that attn_push_batch needs for n frames; a multiple of ATTN_ALIGN. Any thread. */
ATTN_API size_t attn_scratch_bytes(const struct attn_plan *plan, size_t n);

/** Floats in an output of this kind; 0 where the plan has no such output. A model without a head answers with its
 *  embedding whatever the kind. Any thread. */
ATTN_API uint32_t attn_output_dim(const struct attn_plan *plan, enum attn_output kind);

/** Makes the empty state of a stream in `memory`: state_bytes long, aligned to ATTN_ALIGN, the caller's throughout.
 *  Returns the state, which is the memory. Nothing else needs to be freed. */
ATTN_API struct attn_state *attn_init(const struct attn_plan *plan, void *memory);

/** The same for a stream whose next frame has this position: for a replay (attnd-protocol(7)). Frames before it count as never
 *  sent, and a segment of landmarks that began before it never closes; from its replay_frames-th frame on the outputs have the
 *  bits of a stream that had all of them. `position` and all that follow stay below 2^64. */
ATTN_API struct attn_state *attn_init_at(const struct attn_plan *plan, void *memory, uint64_t position);

/** Empties a state: the next frame is position 0 again, and nothing of the frames before remains. */
ATTN_API void attn_reset(const struct attn_plan *plan, struct attn_state *state);

/** Frames applied since init or reset. */
ATTN_API uint64_t attn_applied(const struct attn_state *state);

/** The position that the next frame will have: attn_applied(), and what attn_init_at was given. */
ATTN_API uint64_t attn_position(const struct attn_state *state);

/** Applies one frame [input_dim] and writes its output [attn_output_dim(plan, kind)]; output NULL advances the state
 *  without computing what only the output needs. `scratch`: scratch_bytes aligned to ATTN_ALIGN, contents irrelevant
 *  before and after, one a thread is enough. Frame and output do not overlap. Allocates nothing. A frame that holds a NaN
 *  or an infinity is refused with ATTN_E_FRAME, an output that the plan has not with ATTN_E_OPTIONS; both change nothing.
 *  Floats of any size are taken. Values beyond ± 1e30 may overflow in the sums over a window: outputs are then not finite, which
 *  attn_first_not_finite tells, but never for longer than replay_frames; the later ones have the bits that they have without
 *  such a frame. Scores of logits that are not finite are NaN.
 *  Sources: arXiv 2201.06268 (exact) and 2412.03214 (Nyström); in full: MATHS.md in the source. */
ATTN_API int attn_push(const struct attn_plan *plan, struct attn_state *state, const float *frame, enum attn_output kind,
              float *output, void *scratch);

/** One frame of one stream in a batch. */
struct attn_frame {
    struct attn_state *state;
    const float *frame;         /**< [input_dim] */
    float *output;              /**< [attn_output_dim(plan, kind)], or NULL */
    enum attn_output kind;
    int error;                  /**< out: 0, or what attn_push would have returned */
};

/** Applies one frame each of n streams of one plan: the same bits as n calls of attn_push in any order, and faster, since the
 *  weights are read once. No state may stand in it twice. `scratch`: attn_scratch_bytes(plan, n). Returns how many were
 *  applied; the errors of the others stand in their places and keep nobody else back. */
ATTN_API size_t attn_push_batch(const struct attn_plan *plan, struct attn_frame *frames, size_t n, void *scratch);

/** What a step cost, counted while it ran. */
struct attn_work {
    uint64_t multiply_adds;
    uint64_t bytes;             /**< of the arrays that the kernels read and wrote, whether from cache or memory */
};

/** The work of the newest frame of a state: of its attention, of all layers and heads; weights are not in it. Zeros before the
 *  first. */
ATTN_API struct attn_work attn_last_work(const struct attn_state *state);

/** The most multiply-adds that attn_last_work can tell of any frame of this plan: a bound, seldom more than twice what is met. Any
 *  thread. */
ATTN_API uint64_t attn_most_multiply_adds(const struct attn_plan *plan);

/** Recomputes the newest attention outputs of every layer from the keys and values in the window, in double precision, and
 *  writes the largest |difference| / max|v| to what the state gives; an alarm, since more than 1e-4 means a damaged state or
 *  machine, unless frames had logits beyond a thousand or values beyond 1e30, for which float32 is too coarse. Allocates. Errors: ATTN_E_OPTIONS (no frame yet), ATTN_E_MEMORY. */
ATTN_API int attn_verify(const struct attn_plan *plan, struct attn_state *state, double *difference);

/** Writes the state to `blob`, attn_info.saved_bytes of any alignment: little-endian, versioned, with a checksum, bound to the
 *  plan's hash and variant. */
ATTN_API void attn_save(const struct attn_plan *plan, const struct attn_state *state, void *blob);

/** Makes a state in `memory`, as attn_init does, of what attn_save wrote; it goes on with the same bits. On an error the memory
 *  holds no state. Error: ATTN_E_STATE: cut short, damaged, of another version, plan or variant. */
ATTN_API int attn_load(const struct attn_plan *plan, void *memory, struct attn_state **state, const void *blob,
                       size_t n_bytes, struct attn_reason *why);

/** Index of the first float that is NaN or infinite, or n where all are finite. */
ATTN_API size_t attn_first_not_finite(const float *x, size_t n);

/** The same outputs recomputed from frames alone, in float32: the in-library reference of a raw attention.
 *  `frames` is [n_frames][3][H][d], all frames since position 0; `output` (attn_output_dim) is that of the last one. Allocates its
 *  own memory. Errors: ATTN_E_OPTIONS (not a raw attention, n_frames = 0), ATTN_E_MEMORY. */
ATTN_API int attn_batch(const struct attn_plan *plan, const float *frames, size_t n_frames, float *output);

#ifdef __cplusplus
}
#endif
