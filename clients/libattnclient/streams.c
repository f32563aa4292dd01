/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "libattnclient/streams.h"

#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"

void attnc_streams_done(struct attnc_streams *streams)
{
    free(streams->all);
}

struct attnc_stream *attnc_streams_find(const struct attnc_streams *streams, uint64_t number)
{
    size_t low = 0, high = streams->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (streams->all[middle]->info.stream <= number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && streams->all[low - 1]->info.stream == number)
        return streams->all[low - 1];
    return NULL;
}

int attnc_streams_add(struct attnc_streams *streams, struct attnc_stream *stream)
{
    struct attnc_stream **all = realloc(streams->all, (streams->n + 1) * sizeof(struct attnc_stream *));
    if (!all)
        return -1;
    size_t i = streams->n++;
    for (; i > 0 && all[i - 1]->info.stream > stream->info.stream; i--)
        all[i] = all[i - 1];
    all[i] = stream;
    streams->all = all;
    return 0;
}

void attnc_streams_remove(struct attnc_streams *streams, const struct attnc_stream *stream)
{
    size_t i = 0;
    while (streams->all[i] != stream)
        i++;
    streams->n--;
    memmove(&streams->all[i], &streams->all[i + 1], (streams->n - i) * sizeof(struct attnc_stream *));
}
