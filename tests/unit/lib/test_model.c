/* SPDX-License-Identifier: MIT */
#include "draft.h"
#include "lib/encoder.h"
#include "lib/model_file.h"
#include "tests/unit/run.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SHAPE(...) ((const uint64_t[]){__VA_ARGS__, 0})

static int parse(const struct draft *draft, struct attn_encoder **encoder, struct attn_reason *why)
{
    struct draft_file file = draft_write(draft);
    why->text[0] = '\0';
    int error = attn_model_file_parse(encoder, file.bytes, file.n_bytes, ATTN_VARIANT_BEST, why);
    free(file.bytes);
    return error;
}

static void refuse(const struct draft *draft, int expected, const char *says)
{
    struct attn_encoder *encoder;
    struct attn_reason why;
    int error = parse(draft, &encoder, &why);
    ck_assert_msg(error == expected, "error %d and not %d: %s", error, expected,
                  error == 0 ? "it was accepted" : why.text);
    ck_assert_msg(strstr(why.text, says) != NULL, "the message is: %s", why.text);
}

static void accept(const struct draft *draft)
{
    struct attn_encoder *encoder;
    struct attn_reason why;
    ck_assert_msg(parse(draft, &encoder, &why) == 0, "refused: %s", why.text);
    attn_encoder_free(encoder);
}

/* What a change of the draft's configuration is answered with; `says` NULL: accepted. */
static const struct {
    const char *from, *to, *says;
} changes[] = {
    {"\"version\": 1", "\"version\": 2", "version is 2; it must be 1"},
    {"\"version\": 1, ", "", "version is missing"},
    {"\"version\": 1", "\"version\": 1.0", "version is not an integer"},
    {"\"version\": 1", "\"version\": 1, \"version\": 1", "duplicate object key"},
    {"\"version\": 1", "\"version\": 1, \"verison\": 1", "unknown field verison"},
    {"\"input_dim\": 3, ", "", "input_dim is missing"},
    {"\"input_dim\": 3", "\"input_dim\": 0", "input_dim is 0; it must be 1 to 65536"},
    {"\"input_dim\": 3", "\"input_dim\": 65537", "input_dim is 65537; it must be 1 to 65536"},
    {"\"model_dim\": 4, ", "", "model_dim is missing"},
    {"\"model_dim\": 4", "\"model_dim\": -4", "model_dim is -4; it must be 1 to 65536"},
    {"\"model_dim\": 4", "\"model_dim\": 99999999999999999999", "not valid JSON"},
    {"\"heads\": 2, ", "", "heads is missing"},
    {"\"heads\": 2", "\"heads\": 3", "model_dim 4 is not a multiple of heads 3"},
    {"\"heads\": 2", "\"heads\": 1025", "heads is 1025; it must be 1 to 1024"},
    {"\"heads\": 2", "\"heads\": 4", NULL},
    {"\"window\": 3, ", "", "window is missing"},
    {"\"window\": 3", "\"window\": 0", "window is 0; it must be 1 to 1048576"},
    {"\"window\": 3", "\"window\": true", "window is not an integer"},
    {"\"window\": 3", "\"window\": 1", NULL},
    {"\"positions\": 2, ", "", "positions is missing"},
    {"\"positions\": 2", "\"positions\": 0", "tensor pe.weight at offset "},
    {"\"positions\": 2", "\"positions\": 3", "its shape is [2, 4], the configuration needs [3, 4]"},
    {"\"residual_tap\": \"newest\", ", "", "residual_tap is missing"},
    {"\"newest\"", "\"middle\"", "residual_tap is middle; it must be \"newest\" or \"oldest\""},
    {"\"newest\"", "\"oldest\"", NULL},
    {"\"norm\": \"post\", ", "", "norm is missing"},
    {"\"post\"", "\"pre\"", NULL},
    {"\"post\"", "\"none\"", "norm is none"},
    {"\"gelu\"", "\"relu\"", NULL},
    {"\"gelu\"", "\"silu\"", "activation is silu; it must be \"gelu\" or \"relu\""},
    {"\"softmax\"", "7", "head is not a string; it must be \"softmax\", \"sigmoid\" or \"identity\""},
    {"\"softmax\"", "\"sigmoid\"", NULL},
    {"\"layers\": [{\"method\": \"exact\"}], ", "", "layers is not a list of 1 to 64"},
    {"[{\"method\": \"exact\"}]", "[]", "layers is not a list of 1 to 64"},
    {"[{\"method\": \"exact\"}]", "[7]", "layers[0] is not an object"},
    {"[{\"method\": \"exact\"}]", "[{}]", "layers[0].method is missing"},
    {"\"exact\"", "\"linear\"", "layers[0].method is linear"},
    {"\"exact\"", "\"exact\", \"window\": 3", "unknown field layers[0].window"},
    {"\"exact\"", "\"exact\", \"landmarks\": 0", NULL},
    {"\"exact\"", "\"exact\", \"landmarks\": 2", "layers[0].landmarks is 2; it must be 0"},
    {"\"exact\"", "\"exact\", \"landmark_policy\": \"fixed\"",
     "landmark_policy is fixed, but the exact method has no landmarks"},
    {"\"exact\"", "\"nystrom\"", "layers[0].landmarks is missing"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 0", "layers[0].landmarks is 0; it must be 1 to 4096"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"cur\"", "layers[0].landmark_policy is cur"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"fixed\"",
     "tensor blocks.0.q_landmarks is missing"},
    {"{\"method\": \"exact\"}", "{\"method\": \"nystrom\", \"landmarks\": 250, \"landmark_policy\": \"fixed\"}",
     "tensor blocks.0.q_landmarks is missing"},
    {"{\"method\": \"exact\"}",
     "{\"method\": \"nystrom\", \"landmarks\": 250, \"landmark_policy\": \"fixed\"}, "
     "{\"method\": \"nystrom\", \"landmarks\": 250, \"landmark_policy\": \"fixed\"}",
     "the inverses of 2 heads in all layers would take 1.5 billion multiply-adds, and 1.1 are allowed"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"inverse_scale\": \"batch\"", "layers[0].inverse_scale is batch"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"inverse_scale\": \"heads\"", NULL},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2", NULL},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\"", NULL},
    {"\"exact\"", "\"exact\", \"refresh\": \"spread\"",
     "layers[0].refresh is spread, but the exact method has nothing to refresh"},
    {"\"exact\"", "\"nystrom\", \"landmarks\": 2, \"refresh\": \"later\"", "layers[0].refresh is later"},
    {"\"exact\"", "\"exact\", \"head_merge\": \"mean\"", "layers[0].head_merge is mean; it must be"},
    {"\"exact\"", "\"exact\", \"retroactive\": 1", "layers[0].retroactive is neither true nor false"},
    {"\"exact\"", "\"exact\", \"retroactive\": true", "only the first layer of exactly two"},
    {"\"exact\"", "\"exact\", \"retroactive\": false, \"head_merge\": \"concat\", \"refresh\": \"immediate\"", NULL},
    {"\"exact\"", "\"exact\", \"head_merge\": \"raw\"", "layers[0].head_merge is raw, which only a retroactive layer"},
    {"{\"method\": \"exact\"}", "{\"method\": \"exact\"}, {\"method\": \"exact\"}",
     "tensor blocks.1.norm1.weight is missing"},
    {", \"labels\": [\"yes\", \"no\"]", "", NULL},
    {"[\"yes\", \"no\"]", "null", NULL},
    {"[\"yes\", \"no\"]", "[\"yes\"]", "there are 1 labels for the 2 outputs of tensor head.weight"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"yes\"]", "label yes is there twice"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"\"]", "labels[1] is not a string of 1 to 255 bytes"},
    {"[\"yes\", \"no\"]", "[\"yes\", 7]", "labels[1] is not a string of 1 to 255 bytes"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"n\\u001b[2J\"]", "labels[1] is not a string of 1 to 255 bytes without control"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"n\\u009b2J\"]", "labels[1] is not a string of 1 to 255 bytes without control"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"n\\u00a0\\u0416\"]", NULL},
    {"[\"yes\", \"no\"]", "[\"yes\", \"\xff\"]", "not valid JSON"},
    {"[\"yes\", \"no\"]", "[\"yes\", \"n\\u0000o\"]", "not valid JSON"},
    {"[\"yes\", \"no\"]", "\"yes\"", "labels is not a list"},
    {"\"labels\"", "\"training\": {\"anything\": [1, 2.5]}, \"labels\"", NULL},
    {"\"labels\"", "\"training\": 7, \"labels\"", "training is neither an object nor null"},
    {"\"labels\"", "\"frontend\": null, \"labels\"", NULL},
    {"\"labels\"", "\"frontend\": \"vggish\", \"labels\"", "frontend is neither an object nor null"},
    {"\"labels\"", "\"frontend\": {}, \"labels\"", "frontend.type is missing"},
    {"\"labels\"", "\"frontend\": {\"type\": \"mfcc\"}, \"labels\"", "frontend.type is mfcc; it must be \"vggish\""},
    {"\"labels\"", "\"frontend\": {\"type\": \"vggish\", \"stride\": 1}, \"labels\"", "frontend.hops is missing"},
    {"\"labels\"", "\"frontend\": {\"type\": \"vggish\", \"hops\": 1}, \"labels\"", "frontend.stride is missing"},
    {"\"labels\"", "\"frontend\": {\"type\": \"vggish\", \"hops\": 1, \"stride\": 0}, \"labels\"",
     "frontend.stride is 0"},
    {"\"labels\"", "\"frontend\": {\"type\": \"vggish\", \"hops\": 1, \"stride\": 1, \"rate\": 1}, \"labels\"",
     "unknown field frontend.rate"},
    {"\"labels\"", "\"frontend\": {\"type\": \"vggish\", \"hops\": 2, \"stride\": 1}, \"labels\"",
     "frontend gives frames of 64 * 2 = 128 values, but input_dim is 3"},
    {"\"labels\"", "\"events\": null, \"labels\"", NULL},
    {"\"labels\"", "\"events\": 7, \"labels\"", "events is neither an object nor null"},
    {"\"labels\"", "\"events\": {}, \"labels\"", "events.frames is missing"},
    {"\"labels\"", "\"events\": {\"frames\": 0, \"on\": [0.5, 0.5], \"off\": [0.4, 0.4]}, \"labels\"",
     "events.frames is 0"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 0.5], \"off\": [0.4, 0.4]}, \"labels\"", NULL},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [1, 0.5], \"off\": [1, 0.5]}, \"labels\"", NULL},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5], \"off\": [0.4, 0.4]}, \"labels\"",
     "events.on and events.off are not lists of one number for each of 2 labels"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 0.5]}, \"labels\"",
     "events.on and events.off are not lists of one number"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": 0.5, \"off\": 0.4}, \"labels\"",
     "events.on and events.off are not lists of one number"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 1.5], \"off\": [0.4, 0.4]}, \"labels\"",
     "events.on[1] is not a number above 0 and at most 1"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 0], \"off\": [0.4, 0.4]}, \"labels\"",
     "events.on[1] is not a number above 0"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, \"a\"], \"off\": [0.4, 0.4]}, \"labels\"",
     "events.on[1] is not a number above 0"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 0.5], \"off\": [0.6, 0.4]}, \"labels\"",
     "events.off[0] is not a number above 0 and at most 0.5"},
    {"\"labels\"", "\"events\": {\"frames\": 3, \"on\": [0.5, 0.5], \"off\": [0.4, 0.4], \"mean\": 1}, \"labels\"",
     "unknown field events.mean"},
    {"\"labels\"", "\"digest\": null, \"labels\"", NULL},
    {"\"labels\"", "\"digest\": [1], \"labels\"", "digest is neither an object nor null"},
    {"\"labels\"", "\"digest\": {\"scores\": [0.5, 0.5]}, \"labels\"", "digest.frames is missing"},
    {"\"labels\"", "\"digest\": {\"frames\": 4097, \"scores\": [0.5, 0.5]}, \"labels\"", "digest.frames is 4097"},
    {"\"labels\"", "\"digest\": {\"frames\": 1}, \"labels\"", "digest.scores is not a list of 1 to"},
    {"\"labels\"", "\"digest\": {\"frames\": 1, \"scores\": []}, \"labels\"", "digest.scores is not a list of 1 to"},
    {"\"labels\"", "\"digest\": {\"frames\": 1, \"scores\": [0.5, \"x\"]}, \"labels\"",
     "digest.scores[1] is not a number"},
    {"\"labels\"", "\"digest\": {\"frames\": 1, \"scores\": [0.5]}, \"labels\"",
     "1 scores are said, and the model has 2"},
    {"\"labels\"", "\"digest\": {\"frames\": 1, \"scores\": [0.5, 0.5], \"of\": 1}, \"labels\"",
     "unknown field digest.of"},
    {", \"labels\": [\"yes\", \"no\"]", ", \"events\": {\"frames\": 1, \"on\": [], \"off\": []}",
     "events is there, but the model has no labels"},
};

START_TEST(judges_a_configuration)
{
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, changes[_i].from, changes[_i].to);
    if (changes[_i].says == NULL)
        accept(&draft);
    else
        refuse(&draft, ATTN_E_MODEL, changes[_i].says);
    draft_done(&draft);
}
END_TEST

/* The scores of the draft after N_DIGEST frames of attnd-model(7), DIGEST, computed here frame by frame. */
#define N_DIGEST 9

/* A draft whose every weight tells in its scores. */
static void init_telling(struct draft *draft)
{
    draft_init(draft);
    draft_replace(draft, "softmax", "identity");
}

static void digest_scores(double scores[2])
{
    struct draft draft;
    struct attn_encoder *encoder;
    struct attn_reason why;
    struct attn_info info;
    uint32_t random = 1;
    float output[2] = {0};
    init_telling(&draft);
    ck_assert_int_eq(parse(&draft, &encoder, &why), 0);
    draft_done(&draft);
    attn_encoder_info(encoder, &info);
    void *state = aligned_alloc(ATTN_ALIGN, info.state_bytes), *scratch = aligned_alloc(ATTN_ALIGN, info.scratch_bytes);
    attn_encoder_reset(encoder, state);
    for (uint64_t t = 0; t < N_DIGEST; t++) {
        float numbers[4];
        for (int i = 0; i < 4; i++) {
            random = random * 1664525 + 1013904223;
            numbers[i] = (float)(random >> 8) / 8388608 - 1;
        }
        const float input[] = {3 * numbers[0] + 2 * numbers[1], 3 * numbers[0] + 2 * numbers[2],
                               3 * numbers[0] + 2 * numbers[3]};
        struct attn_encoder_frame frame = {
            .state = state, .when = {.t = t}, .input = input, .kind = ATTN_SCORES, .output = output};
        attn_encoder_step(encoder, &frame, 1, scratch);
    }
    scores[0] = output[0];
    scores[1] = output[1];
    free(state);
    free(scratch);
    attn_encoder_free(encoder);
}

static void write_digest(struct draft *draft, int frames, const double scores[2])
{
    char text[200];
    snprintf(text, sizeof(text), "\"digest\": {\"frames\": %d, \"scores\": [%.9g, %.9g]}, \"labels\"", frames,
             scores[0], scores[1]);
    draft_replace(draft, "\"labels\"", text);
}

START_TEST(a_digest_is_computed_again)
{
    double scores[2];
    struct draft draft;
    digest_scores(scores);
    init_telling(&draft);
    write_digest(&draft, N_DIGEST, scores);
    accept(&draft);
    draft_find(&draft, "blocks.0.v.weight")->values[0] += 5;
    refuse(&draft, ATTN_E_MODEL, "digest: after 9 frames score");
    draft_done(&draft);
}
END_TEST

/* Another norm, another activation, and other frames. */
START_TEST(a_digest_of_other_equations_is_refused)
{
    double scores[2];
    struct draft draft;
    digest_scores(scores);
    init_telling(&draft);
    if (_i == 0)
        draft_replace(&draft, "post", "pre");
    if (_i == 1)
        draft_replace(&draft, "gelu", "relu");
    write_digest(&draft, _i == 2 ? N_DIGEST - 1 : N_DIGEST, scores);
    refuse(&draft, ATTN_E_MODEL, "trained with other equations");
    draft_done(&draft);
}
END_TEST

/* Two layers and more: what stands in `layers`, and the answer to it; NULL: accepted. */
static const struct {
    const char *first, *second, *third, *says;
} stacks[] = {
    {"\"exact\", \"retroactive\": true", "\"exact\"", NULL, NULL},
    {"\"exact\", \"retroactive\": true, \"head_merge\": \"raw\"", "\"nystrom\", \"landmarks\": 2", NULL, NULL},
    {"\"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\", \"retroactive\": true", "\"exact\"", NULL, NULL},
    {"\"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\"", "\"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\"",
     NULL, NULL},
    {"\"exact\"", "\"exact\", \"retroactive\": true", NULL,
     "layers[1].retroactive is true, which only the first layer of exactly two can be; the model has 2"},
    {"\"exact\", \"retroactive\": true", "\"exact\", \"retroactive\": true", NULL,
     "layers[1].retroactive is true, which only the first layer of exactly two can be"},
    {"\"exact\", \"retroactive\": true", "\"exact\"", "\"exact\"",
     "layers[0].retroactive is true, which only the first layer of exactly two can be; the model has 3"},
    {"\"exact\", \"retroactive\": true", "\"exact\", \"head_merge\": \"raw\"", NULL,
     "layers[1].head_merge is raw, which only a retroactive layer can have"},
    {"\"exact\", \"retroactive\": true", "\"nystrom\", \"landmarks\": 2, \"refresh\": \"spread\"", NULL,
     "layers[1].refresh is spread, but the layer after a retroactive one is recomputed at each frame"},
    {"\"exact\", \"retroactive\": true", "\"nystrom\", \"landmarks\": 2, \"landmark_policy\": \"fixed\"", NULL,
     "tensor blocks.1.q_landmarks is missing"},
    {"\"exact\", \"retroactive\": true", "\"nystrom\", \"landmarks\": 4096, \"landmark_policy\": \"fixed\"", NULL,
     "the inverses of 2 heads in all layers would take 3298.5 billion multiply-adds"},
};

START_TEST(judges_how_layers_stand_on_each_other)
{
    struct draft draft;
    char layer[200];
    draft_init(&draft);
    draft_replace(&draft, "\"exact\"", stacks[_i].first);
    snprintf(layer, sizeof(layer), "{\"method\": %s}", stacks[_i].second);
    draft_add_block(&draft, layer);
    if (stacks[_i].third != NULL) {
        snprintf(layer, sizeof(layer), "{\"method\": %s}", stacks[_i].third);
        draft_add_block(&draft, layer);
    }
    if (stacks[_i].says == NULL)
        accept(&draft);
    else
        refuse(&draft, ATTN_E_MODEL, stacks[_i].says);
    draft_done(&draft);
}
END_TEST

START_TEST(names_each_tensor_that_is_missing)
{
    struct draft draft;
    draft_init(&draft);
    size_t n_tensors = draft.n_tensors;
    draft_done(&draft);
    for (size_t i = 0; i < n_tensors; i++) {
        char says[200];
        draft_init(&draft);
        snprintf(says, sizeof(says), "tensor %s is missing", draft.tensors[i].name);
        draft_remove(&draft, draft.tensors[i].name);
        refuse(&draft, ATTN_E_MODEL, says);
        draft_done(&draft);
    }
}
END_TEST

START_TEST(names_each_tensor_of_a_wrong_shape)
{
    static const struct {
        const char *name, *says;
    } decided_elsewhere[] = {
        /* F and the number of outputs are what these say, so that their partner is at fault. */
        {"blocks.0.ff1.weight", "tensor blocks.0.ff1.bias at offset "},
        {"head.weight", "tensor head.bias at offset "},
    };
    struct draft draft;
    draft_init(&draft);
    size_t n_tensors = draft.n_tensors;
    draft_done(&draft);
    for (size_t i = 0; i < n_tensors; i++) {
        char says[200];
        draft_init(&draft);
        struct draft_tensor *tensor = &draft.tensors[i];
        snprintf(says, sizeof(says), "tensor %s at offset ", tensor->name);
        for (size_t j = 0; j < 2; j++)
            if (strcmp(tensor->name, decided_elsewhere[j].name) == 0)
                strcpy(says, decided_elsewhere[j].says);
        draft_reshape(tensor, SHAPE(tensor->shape[0] + 1, tensor->rank == 2 ? tensor->shape[1] : 0));
        refuse(&draft, ATTN_E_MODEL, says);
        draft_done(&draft);
    }
}
END_TEST

START_TEST(says_which_shape_it_found_and_needs)
{
    struct draft draft;
    draft_init(&draft);
    draft_reshape(draft_find(&draft, "blocks.0.q.weight"), SHAPE(4, 4, 1));
    refuse(&draft, ATTN_E_MODEL, "its shape is [4, 4, 1], the configuration needs [4, 4]");
    draft_reshape(draft_find(&draft, "blocks.0.q.weight"), SHAPE(4, 4));
    draft_reshape(draft_find(&draft, "blocks.0.ff1.weight"), SHAPE(5));
    refuse(&draft, ATTN_E_MODEL, "its shape is [5], the configuration needs [1..65536, 4]");
    draft_reshape(draft_find(&draft, "blocks.0.ff1.weight"), SHAPE(65537, 4));
    refuse(&draft, ATTN_E_MODEL, "its shape is [65537, 4], the configuration needs [1..65536, 4]");
    draft_done(&draft);
}
END_TEST

START_TEST(refuses_tensors_without_a_use)
{
    static const char *const names[] = {"blocks.1.q.weight", "blocks.0.q_landmarks", "head", "training.step", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char says[200];
        struct draft draft;
        draft_init(&draft);
        draft_add(&draft, names[i], SHAPE(4, 4));
        snprintf(says, sizeof(says), "tensor %s at offset ", names[i]);
        refuse(&draft, ATTN_E_MODEL, says);
        refuse(&draft, ATTN_E_MODEL, "the configuration has no use for it");
        draft_done(&draft);
    }
}
END_TEST

static void remove_pair(struct draft *draft, const char *prefix)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.weight", prefix);
    draft_remove(draft, name);
    snprintf(name, sizeof(name), "%s.bias", prefix);
    draft_remove(draft, name);
}

START_TEST(accepts_what_may_be_absent)
{
    struct draft draft;
    draft_init(&draft);
    remove_pair(&draft, "blocks.0.o");
    accept(&draft);
    remove_pair(&draft, "blocks.0.q");
    refuse(&draft, ATTN_E_MODEL, "tensor blocks.0.q.weight is missing");
    remove_pair(&draft, "blocks.0.k");
    remove_pair(&draft, "blocks.0.v");
    accept(&draft);
    draft_remove(&draft, "pe.weight");
    refuse(&draft, ATTN_E_MODEL, "tensor pe.weight is missing");
    draft_replace(&draft, "\"positions\": 2", "\"positions\": 0");
    accept(&draft);
    remove_pair(&draft, "embed");
    refuse(&draft, ATTN_E_MODEL,
           "tensor embed.weight is missing; only with input_dim = model_dim may it be, and they are 3 and 4");
    draft_replace(&draft, "\"input_dim\": 3", "\"input_dim\": 4");
    accept(&draft);
    remove_pair(&draft, "head");
    refuse(&draft, ATTN_E_MODEL, "tensor head.weight is missing");
    draft_replace(&draft, "softmax", "identity");
    refuse(&draft, ATTN_E_MODEL, "tensor head.weight is missing");
    draft_replace(&draft, ", \"labels\": [\"yes\", \"no\"]", "");
    accept(&draft);
    draft_done(&draft);
}
END_TEST

START_TEST(takes_fixed_landmarks)
{
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, "\"exact\"", "\"nystrom\", \"landmarks\": 5, \"landmark_policy\": \"fixed\"");
    draft_add(&draft, "blocks.0.q_landmarks", SHAPE(2, 5, 2));
    refuse(&draft, ATTN_E_MODEL, "tensor blocks.0.k_landmarks is missing");
    draft_add(&draft, "blocks.0.k_landmarks", SHAPE(2, 5, 2));
    accept(&draft);
    draft_reshape(draft_find(&draft, "blocks.0.k_landmarks"), SHAPE(2, 2, 5));
    refuse(&draft, ATTN_E_MODEL, "its shape is [2, 2, 5], the configuration needs [2, 5, 2]");
    draft_done(&draft);
}
END_TEST

/* The keys and values of the window take 768 MiB, and its residuals 384 MiB. */
START_TEST(refuses_a_state_beyond_the_limit)
{
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, "\"window\": 3", "\"window\": 1048576");
    draft_replace(&draft, "\"model_dim\": 4", "\"model_dim\": 96");
    draft_replace(&draft, "newest", "oldest");
    for (size_t i = 0; i < draft.n_tensors; i++) {
        struct draft_tensor *tensor = &draft.tensors[i];
        uint64_t rows = tensor->shape[0] == 4 ? 96 : tensor->shape[0];
        draft_reshape(tensor, SHAPE(rows, tensor->rank < 2 ? 0 : tensor->shape[1] == 4 ? 96 : tensor->shape[1]));
    }
    refuse(&draft, ATTN_E_MODEL, "the limit is 1073741824");
    draft_replace(&draft, "oldest", "newest");
    accept(&draft);
    draft_done(&draft);
}
END_TEST

START_TEST(describes_the_model)
{
    struct draft draft;
    struct attn_encoder *encoder;
    struct attn_reason why;
    struct attn_info info;
    draft_init(&draft);
    draft_replace(&draft, "\"input_dim\": 3", "\"input_dim\": 128");
    draft_reshape(draft_find(&draft, "embed.weight"), SHAPE(4, 128));
    draft_replace(&draft, "\"labels\"", "\"frontend\": {\"stride\": 1, \"hops\": 2, \"type\": \"vggish\"}, \"labels\"");
    draft_replace(&draft, "\"labels\"",
                  "\"events\": {\"frames\": 12, \"on\": [0.55, 0.3], \"off\": [0.31, 0.2]}, \"labels\"");
    draft_replace(&draft, "\"no\"", "\"n\\u00f6\"");
    ck_assert_msg(parse(&draft, &encoder, &why) == 0, "refused: %s", why.text);
    attn_encoder_info(encoder, &info);
    ck_assert_uint_eq(info.input_dim, 128);
    ck_assert_uint_eq(info.model_dim, 4);
    ck_assert_uint_eq(info.heads, 2);
    ck_assert_uint_eq(info.window, 3);
    ck_assert_uint_eq(info.layers, 1);
    ck_assert_uint_eq(info.replay_frames, 3);
    ck_assert_uint_eq(info.warming_frames, 2);
    ck_assert_uint_eq(info.state_bytes % ATTN_ALIGN, 0);
    ck_assert_uint_eq(info.scratch_bytes % ATTN_ALIGN, 0);
    ck_assert_uint_eq(info.n_labels, 2);
    ck_assert_str_eq(info.labels[0], "yes");
    ck_assert_str_eq(info.labels[1], "nö");
    ck_assert_str_eq(info.frontend, "{\"stride\":1,\"hops\":2,\"type\":\"vggish\"}");
    ck_assert_str_eq(info.events, "{\"frames\":12,\"on\":[0.55,0.3],\"off\":[0.31,0.2]}");
    ck_assert_uint_eq(attn_encoder_output_dim(encoder, ATTN_SCORES), 2);
    ck_assert_uint_eq(attn_encoder_output_dim(encoder, ATTN_LOGITS), 2);
    ck_assert_uint_eq(attn_encoder_output_dim(encoder, ATTN_EMBEDDING), 4);
    ck_assert_uint_eq(attn_encoder_output_dim(encoder, (enum attn_output)3), 0);
    attn_encoder_free(encoder);
    draft_done(&draft);
}
END_TEST

START_TEST(describes_a_stack)
{
    struct draft draft;
    struct attn_encoder *encoder;
    struct attn_reason why;
    struct attn_info info;
    draft_init(&draft);
    draft_replace(&draft, "\"window\": 3", "\"window\": 7");
    draft_add_block(&draft, "{\"method\": \"nystrom\", \"landmarks\": 3}");
    ck_assert_msg(parse(&draft, &encoder, &why) == 0, "refused: %s", why.text);
    attn_encoder_info(encoder, &info);
    ck_assert_uint_eq(info.layers, 2);
    ck_assert_uint_eq(info.warming_frames, 6 + 6);
    ck_assert_uint_eq(info.replay_frames, 1 + (7 - 1) + (7 + 3 - 1 - 1)); /* n, and n + ⌈n/m⌉ − 1 */
    attn_encoder_free(encoder);
    draft_remove(&draft, "blocks.1.ff2.bias");
    refuse(&draft, ATTN_E_MODEL, "tensor blocks.1.ff2.bias is missing");
    draft_done(&draft);
}
END_TEST

START_TEST(describes_a_retroactive_model)
{
    struct draft draft;
    struct attn_encoder *encoder;
    struct attn_reason why;
    struct attn_info info;
    draft_init(&draft);
    draft_replace(&draft, "\"window\": 3", "\"window\": 7");
    draft_replace(&draft, "\"exact\"", "\"nystrom\", \"landmarks\": 3, \"retroactive\": true");
    draft_add_block(&draft, "{\"method\": \"nystrom\", \"landmarks\": 3}");
    ck_assert_msg(parse(&draft, &encoder, &why) == 0, "refused: %s", why.text);
    attn_encoder_info(encoder, &info);
    ck_assert_uint_eq(info.layers, 2);
    ck_assert_uint_eq(info.warming_frames, 6);
    ck_assert_uint_eq(info.replay_frames, 7 + 3 - 1); /* the first layer's; the second is recomputed */
    ck_assert_uint_eq(info.output_rows, 1);
    attn_encoder_free(encoder);
    draft_done(&draft);
}
END_TEST

/* 8192 rows with a feed-forward of 4 * 65536 * 2 multiply-adds each. */
START_TEST(refuses_a_frame_that_would_take_seconds)
{
    struct draft draft;
    draft_init(&draft);
    draft_replace(&draft, "\"window\": 3", "\"window\": 8192");
    draft_reshape(draft_find(&draft, "blocks.0.ff1.weight"), SHAPE(65536, 4));
    draft_reshape(draft_find(&draft, "blocks.0.ff1.bias"), SHAPE(65536));
    draft_reshape(draft_find(&draft, "blocks.0.ff2.weight"), SHAPE(4, 65536));
    draft_add_block(&draft, "{\"method\": \"exact\"}");
    accept(&draft);
    draft_replace(&draft, "\"exact\"", "\"nystrom\", \"landmarks\": 2, \"retroactive\": true");
    refuse(&draft, ATTN_E_MODEL, "a frame would take 4.3 billion multiply-adds, since layers[0] is retroactive");
    draft_replace(&draft, "\"window\": 8192", "\"window\": 8000");
    accept(&draft);
    draft_done(&draft);
}
END_TEST

START_TEST(takes_the_kernels_that_are_asked_for)
{
    struct draft draft;
    draft_init(&draft);
    struct draft_file file = draft_write(&draft);
    for (int variant = ATTN_VARIANT_BEST; variant <= ATTN_VARIANT_NEON + 1; variant++) {
        const struct attn_kernels *kernels = attn_kernels_of((enum attn_variant)variant);
        struct attn_encoder *encoder;
        struct attn_reason why = {""};
        struct attn_info info;
        int error = attn_model_file_parse(&encoder, file.bytes, file.n_bytes, (enum attn_variant)variant, &why);
        ck_assert_int_eq(error, kernels == NULL ? ATTN_E_SUPPORT : 0);
        ck_assert((kernels == NULL) == (strstr(why.text, "is not in this build, or not for this machine") != NULL));
        if (error == 0) {
            attn_encoder_info(encoder, &info);
            ck_assert_int_eq(info.variant, kernels->variant);
        }
        attn_encoder_free(encoder);
    }
    free(file.bytes);
    draft_done(&draft);
}
END_TEST

START_TEST(the_hash_tells_models_apart)
{
    uint64_t hashes[3];
    for (size_t i = 0; i < 3; i++) {
        struct draft draft;
        struct attn_encoder *encoder;
        struct attn_reason why;
        struct attn_info info;
        draft_init(&draft);
        if (i == 2)
            draft_find(&draft, "head.bias")->values[1] += 1e-6f;
        ck_assert_int_eq(parse(&draft, &encoder, &why), 0);
        attn_encoder_info(encoder, &info);
        hashes[i] = info.hash;
        attn_encoder_free(encoder);
        draft_done(&draft);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
    ck_assert_uint_ne(hashes[0], hashes[2]);
}
END_TEST

static Suite *model(void)
{
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("models");
    tcase_add_loop_test(tcase, judges_a_configuration, 0, sizeof(changes) / sizeof(changes[0]));
    tcase_add_test(tcase, a_digest_is_computed_again);
    tcase_add_loop_test(tcase, a_digest_of_other_equations_is_refused, 0, 3);
    tcase_add_loop_test(tcase, judges_how_layers_stand_on_each_other, 0, sizeof(stacks) / sizeof(stacks[0]));
    tcase_add_test(tcase, names_each_tensor_that_is_missing);
    tcase_add_test(tcase, names_each_tensor_of_a_wrong_shape);
    tcase_add_test(tcase, says_which_shape_it_found_and_needs);
    tcase_add_test(tcase, refuses_tensors_without_a_use);
    tcase_add_test(tcase, accepts_what_may_be_absent);
    tcase_add_test(tcase, takes_fixed_landmarks);
    tcase_add_test(tcase, refuses_a_state_beyond_the_limit);
    tcase_add_test(tcase, describes_the_model);
    tcase_add_test(tcase, describes_a_stack);
    tcase_add_test(tcase, describes_a_retroactive_model);
    tcase_add_test(tcase, refuses_a_frame_that_would_take_seconds);
    tcase_add_test(tcase, takes_the_kernels_that_are_asked_for);
    tcase_add_test(tcase, the_hash_tells_models_apart);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(model());
