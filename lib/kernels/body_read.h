/* SPDX-License-Identifier: MIT */
/* Aggregates take in a frame, and a window is read out: both in one pass over the vectors that change. */
#pragma once

/* The vectors that take in a frame. Their sum weighted by b is taken on the way, unless b is NULL. */
struct extension {
    size_t m, d;
    float *vectors;
    const float *rescale, *weight, *value; /* rescale NULL: they stay as they are */
    const float *b;
};

/* Row j of some columns, whose old values are given. */
INLINE vec extended(const struct extension *in, size_t j, vec old, vec value)
{
    return vec_fma(vec_set(in->rescale[j]), old, vec_set(in->weight[j]) * value);
}

/* total[vectors] += w[R] · those columns of rows[R×d] */
INLINE void add_combination(const size_t vectors, const bool whole, vec *total, struct columns in)
{
    vec sum[8];
    for (size_t left = in.n_rows; left > 0; left -= in.n_rows) {
        in.n_rows = left < BLOCK ? left : BLOCK;
        combine_block(vectors, whole, sum, &in);
        EACH (v, vectors)
            total[v] += sum[v];
        in.w += in.n_rows;
        in.rows += in.n_rows * in.d;
    }
}

/* Columns first … of all rows: so many vectors, or the n_last < WIDTH columns of one. */
INLINE void extend_columns(const size_t vectors, const struct extension *in, size_t first, size_t n_last, vec *total)
{
    vec value[4];
    EACH (v, vectors)
        value[v] = load_first(in->value + first + v * WIDTH, n_last);
    float *row = in->vectors + first;
    for (size_t j = 0; j < in->m; j++, row += in->d) {
        vec new[4];
        EACH (v, vectors) {
            new[v] = extended(in, j, load_first(row + v * WIDTH, n_last), value[v]);
            store_first(row + v * WIDTH, new[v], n_last);
        }
        if (in->b != NULL)
            EACH (v, vectors)
                total[v] = vec_fma(vec_set(in->b[j]), new[v], total[v]);
    }
}

/* Rows shorter than a vector, four at a time: a row that is loaded as a vector reaches into the next ones, so the next
 * four are loaded before these are stored, or the processor would wait for the stores. */
INLINE void extend_narrow(const struct extension *in, vec *total)
{
    size_t d = in->d, m = in->m;
    vec value = vec_load_part(in->value, d), old[4], part[4];
    EACH (r, 4) {
        old[r] = r < m ? vec_load_part(in->vectors + r * d, d) : value;
        part[r] = vec_set(0.0f);
    }
    for (size_t j = 0; j < m; j += 4) {
        float *row = in->vectors + j * d;
        vec new[4];
        EACH (r, 4) {
            new[r] = extended(in, j + r < m ? j + r : j, old[r], value);
            if (j + 4 + r < m)
                old[r] = vec_load_part(row + (4 + r) * d, d);
        }
        EACH (r, 4) {
            if (j + r < m) {
                vec_store_part(row + r * d, new[r], d);
                if (in->b != NULL)
                    part[r] = vec_fma(vec_set(in->b[j + r]), new[r], part[r]);
            }
        }
    }
    *total += (part[0] + part[1]) + (part[2] + part[3]);
}

static void extend(size_t m, size_t d, float *vectors, const float *rescale, const float *weight, const float *v)
{
    struct extension in = {m, d, vectors, rescale, weight, v, NULL};
    vec total[4] = {vec_set(0.0f), vec_set(0.0f), vec_set(0.0f), vec_set(0.0f)};
    size_t i = 0;
    if (d < WIDTH) {
        extend_narrow(&in, total);
        return;
    }
    for (; i + 4 * WIDTH <= d; i += 4 * WIDTH)
        extend_columns(4, &in, i, WIDTH, total);
    for (; i + WIDTH <= d; i += WIDTH)
        extend_columns(1, &in, i, WIDTH, total);
    if (i < d)
        extend_columns(1, &in, i, d - i, total);
}

/* Columns first … of y: so many vectors, of which the last has n_last columns where it is not whole. */
INLINE void read_columns(const size_t vectors, const bool whole, float *y, const struct extension *newest,
                         const struct attn_parts *parts, size_t first, size_t n_last)
{
    size_t m = newest->m, d = newest->d;
    vec total[4];
    EACH (v, vectors)
        total[v] = vec_set(0.0f);
    for (size_t s = 0; s < parts->n_sources; s++)
        add_combination(vectors, whole, total,
                        (struct columns){m, d, parts->source_weight[s], parts->source[s] + first, n_last});
    add_combination(vectors, whole, total,
                    (struct columns){parts->n_rows, d, parts->row_weight, parts->rows + first, n_last});
    if (newest->rescale == NULL)
        add_combination(vectors, whole, total, (struct columns){m, d, newest->b, newest->vectors + first, n_last});
    else if (d < WIDTH)
        extend_narrow(newest, total);
    else
        extend_columns(vectors, newest, first, whole ? WIDTH : n_last, total);
    EACH (v, vectors)
        store_first(y + first + v * WIDTH, total[v], whole ? WIDTH : n_last);
}

static void read_out(size_t m, size_t d, float *y, const struct attn_parts *parts)
{
    struct extension newest = {m, d, parts->newest, parts->rescale, parts->weight, parts->value, parts->newest_weight};
    size_t i = 0;
    for (; i + 4 * WIDTH <= d; i += 4 * WIDTH)
        read_columns(4, true, y, &newest, parts, i, WIDTH);
    for (; i + WIDTH <= d; i += WIDTH)
        read_columns(1, true, y, &newest, parts, i, WIDTH);
    if (i < d)
        read_columns(1, false, y, &newest, parts, i, d - i);
}
