// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* box_image.c - FWM_BOX_IMAGE is the path of the linked program, from the Makefile. */
#include "sys/box_image.h"

__asm__(".section .rodata\n"
	".global box_image, box_image_end\n"
	".balign 16\n"
	"box_image:\n"
	".incbin \"" FWM_BOX_IMAGE "\"\n"
	"box_image_end:\n"
	".byte 0\n"
	".previous\n");
