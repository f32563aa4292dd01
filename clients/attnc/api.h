/* SPDX-License-Identifier: MIT */
/* What marks the public functions of libattnclient; every public header includes this one. */
#pragma once

#if defined(__GNUC__)
#define ATTNC_API __attribute__((visibility("default")))
#else
#define ATTNC_API
#endif
