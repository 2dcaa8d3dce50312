#include "textflag.h"

// A stream is in v, its next bits lowest, below a 1 that says how far it was shifted since it was
// loaded from src.

// Go on by what was used and load the next bits.
#define LOAD(i, v) \
	BSRQ v, CX;               \
	XORQ $63, CX;             \
	MOVQ (128+8*i)(SI), AX;   \
	MOVQ CX, DX;              \
	SHRQ $3, DX;              \
	ADDQ DX, AX;              \
	MOVQ AX, (128+8*i)(SI);   \
	ADDQ (32+8*i)(SI), AX;    \
	ANDQ $7, CX;              \
	MOVQ (AX), v;             \
	BTSQ $63, v;              \
	SHRQ CX, v

// Look into the table once.
#define LOOK(v, dst) \
	MOVL v, AX;              \
	ANDL $2047, AX;          \
	MOVQ (DI)(AX*8), AX;     \
	MOVQ AX, (dst);          \
	MOVQ AX, CX;             \
	SHRQ $48, CX;            \
	SHRQ CX, v;              \
	SHRQ $56, AX;            \
	ADDQ AX, dst

#define LOOK4 \
	LOOK(R8, R12);  \
	LOOK(R9, R13);  \
	LOOK(R10, R14); \
	LOOK(R11, R15)

// func decodeRounds(s *streams, table *[2048]entry, rounds int)
TEXT ·decodeRounds(SB), NOSPLIT, $0-24
	MOVQ s+0(FP), SI
	MOVQ table+8(FP), DI
	MOVQ rounds+16(FP), BX
	MOVQ 0(SI), R12
	MOVQ 8(SI), R13
	MOVQ 16(SI), R14
	MOVQ 24(SI), R15
	MOVQ 64(SI), R8
	MOVQ 72(SI), R9
	MOVQ 80(SI), R10
	MOVQ 88(SI), R11

loop:
	LOAD(0, R8)
	LOAD(1, R9)
	LOAD(2, R10)
	LOAD(3, R11)
	LOOK4
	LOOK4
	LOOK4
	LOOK4
	LOOK4
	DECQ BX
	JNZ  loop
	SUBQ 0(SI), R12
	SUBQ 8(SI), R13
	SUBQ 16(SI), R14
	SUBQ 24(SI), R15
	MOVQ R12, 96(SI)
	MOVQ R13, 104(SI)
	MOVQ R14, 112(SI)
	MOVQ R15, 120(SI)
	MOVQ R8, 64(SI)
	MOVQ R9, 72(SI)
	MOVQ R10, 80(SI)
	MOVQ R11, 88(SI)
	RET

// func writeQuads(dst, src *byte, pairs *[65536]code, quads int) (written int, acc, n uint64)
TEXT ·writeQuads(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ pairs+16(FP), R8
	MOVQ quads+24(FP), R9
	MOVQ DI, R12
	XORL R10, R10 // acc
	XORL R11, R11 // n

quad:
	MOVL    (SI), AX
	MOVWLZX AX, BX
	SHRL    $16, AX
	MOVL    (R8)(BX*4), BX
	MOVL    (R8)(AX*4), AX
	MOVL    BX, CX
	MOVL    AX, DX
	SHRL    $8, BX
	SHRL    $8, AX
	SHLQ    CX, AX // by the length of the first pair
	ADDL    CX, DX
	ORQ     BX, AX
	MOVBLZX DX, DX
	MOVL    R11, CX
	SHLQ    CX, AX
	ADDL    DX, CX
	ORQ     AX, R10
	MOVQ    R10, (DI)
	MOVL    CX, DX
	SHRL    $3, DX
	MOVL    CX, R11
	ADDQ    DX, DI
	ANDL    $56, CX
	ANDL    $7, R11
	SHRQ    CX, R10
	ADDQ    $4, SI
	DECQ    R9
	JNZ     quad
	SUBQ R12, DI
	MOVQ DI, written+32(FP)
	MOVQ R10, acc+40(FP)
	MOVQ R11, n+48(FP)
	RET
