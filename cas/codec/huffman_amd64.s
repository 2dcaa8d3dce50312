#include "textflag.h"

// A stream is in v, its next bits lowest, below a 1 that says how far it was shifted since it was
// loaded from src.

// Go on by what was used and load the next bits.
#define LOAD(i, v) \
	BSRQ v, CX;               \
	XORQ $63, CX;             \
	MOVQ (32+8*i)(SI), AX;    \
	MOVQ CX, DX;              \
	SHRQ $3, DX;              \
	ADDQ DX, AX;              \
	MOVQ AX, (32+8*i)(SI);    \
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
	MOVQ R12, 0(SI)
	MOVQ R13, 8(SI)
	MOVQ R14, 16(SI)
	MOVQ R15, 24(SI)
	MOVQ R8, 64(SI)
	MOVQ R9, 72(SI)
	MOVQ R10, 80(SI)
	MOVQ R11, 88(SI)
	RET
