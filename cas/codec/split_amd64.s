#include "textflag.h"

// SSE2 only, which every amd64 has: nothing to detect. The counts are of sixteen
// values and at least 1. Stores of eight bytes where six are meant are overwritten by the next.

DATA low3<>+0(SB)/8, $0x0000000000ffffff
DATA low3<>+8(SB)/8, $0x0000000000ffffff
GLOBL low3<>(SB), RODATA|NOPTR, $16

DATA high3<>+0(SB)/8, $0x0000ffffff000000
DATA high3<>+8(SB)/8, $0x0000ffffff000000
GLOBL high3<>(SB), RODATA|NOPTR, $16

DATA even<>+0(SB)/8, $0x00ff00ff00ff00ff
DATA even<>+8(SB)/8, $0x00ff00ff00ff00ff
GLOBL even<>(SB), RODATA|NOPTR, $16

// Four values of x: their low three bytes to 12 bytes at off(DI), their top bytes stay in x.
#define SPLIT(x, off) \
	MOVO   x, X5;          \
	MOVO   x, X6;          \
	PAND   X14, X5;        \
	PSRLQ  $8, X6;         \
	PAND   X15, X6;        \
	POR    X6, X5;         \
	MOVQ   X5, off(DI);    \
	MOVHPS X5, (off+6)(DI); \
	PSRLL  $24, x

// func splitQuadsBlocks(src, rest, top *byte, n int)
TEXT ·splitQuadsBlocks(SB), NOSPLIT, $0-32
	MOVQ src+0(FP), SI
	MOVQ rest+8(FP), DI
	MOVQ top+16(FP), DX
	MOVQ n+24(FP), CX
	MOVO low3<>(SB), X14
	MOVO high3<>(SB), X15

loop:
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	SPLIT(X0, 0)
	SPLIT(X1, 12)
	SPLIT(X2, 24)
	SPLIT(X3, 36)
	PACKSSLW X1, X0
	PACKSSLW X3, X2
	PACKUSWB X2, X0
	MOVOU X0, (DX)
	ADDQ $64, SI
	ADDQ $48, DI
	ADDQ $16, DX
	DECQ CX
	JNZ  loop
	RET

// Twelve bytes at off(SI) and the top bytes in x to four values at to(DI).
#define JOIN(x, off, to) \
	MOVQ   off(SI), X5;     \
	MOVHPS (off+6)(SI), X5; \
	MOVO   X5, X6;          \
	PAND   X14, X5;         \
	PAND   X15, X6;         \
	PSLLQ  $8, X6;          \
	POR    X6, X5;          \
	POR    x, X5;           \
	MOVOU  X5, to(DI)

// func joinQuadsBlocks(dst, rest, top *byte, n int)
TEXT ·joinQuadsBlocks(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ rest+8(FP), SI
	MOVQ top+16(FP), DX
	MOVQ n+24(FP), CX
	MOVO low3<>(SB), X14
	MOVO high3<>(SB), X15

loop:
	// From sixteen bytes b to values b<<24, four in each of X1 to X4.
	MOVOU (DX), X0
	PXOR  X1, X1
	PXOR  X3, X3
	PUNPCKLBW X0, X1
	PUNPCKHBW X0, X3
	PXOR  X2, X2
	PXOR  X4, X4
	PXOR  X7, X7
	PUNPCKHWL X1, X2
	PUNPCKHWL X3, X4
	PUNPCKLWL X1, X7
	PXOR  X8, X8
	PUNPCKLWL X3, X8
	JOIN(X7, 0, 0)
	JOIN(X2, 12, 16)
	JOIN(X8, 24, 32)
	JOIN(X4, 36, 48)
	ADDQ $64, DI
	ADDQ $48, SI
	ADDQ $16, DX
	DECQ CX
	JNZ  loop
	RET

// func splitPairsBlocks(src, rest, top *byte, n int)
TEXT ·splitPairsBlocks(SB), NOSPLIT, $0-32
	MOVQ src+0(FP), SI
	MOVQ rest+8(FP), DI
	MOVQ top+16(FP), DX
	MOVQ n+24(FP), CX
	MOVO even<>(SB), X14

loop:
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVO  X0, X2
	MOVO  X1, X3
	PAND  X14, X0
	PAND  X14, X1
	PACKUSWB X1, X0
	MOVOU X0, (DI)
	PSRLW $8, X2
	PSRLW $8, X3
	PACKUSWB X3, X2
	MOVOU X2, (DX)
	ADDQ $32, SI
	ADDQ $16, DI
	ADDQ $16, DX
	DECQ CX
	JNZ  loop
	RET

// func joinPairsBlocks(dst, rest, top *byte, n int)
TEXT ·joinPairsBlocks(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ rest+8(FP), SI
	MOVQ top+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	MOVOU (SI), X0
	MOVOU (DX), X1
	MOVO  X0, X2
	PUNPCKLBW X1, X0
	PUNPCKHBW X1, X2
	MOVOU X0, (DI)
	MOVOU X2, 16(DI)
	ADDQ $32, DI
	ADDQ $16, SI
	ADDQ $16, DX
	DECQ CX
	JNZ  loop
	RET
