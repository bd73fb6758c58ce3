"""Machine code that overwrites what a running matrix product still reads is found in a listing, and nothing else is."""

import pytest

from fitness import inflight

LOOP = """
\t.section\t.text.k,"ax",@progbits
.text.k:
        /*0000*/                   LDS.128 R4, [R2] ;
.L_x_0:
        /*0010*/                   {first} ;
        /*0020*/                   WARPGROUP.ARRIVE ;
        /*0030*/                   HGMMA.64x64x16.F32 R24, R{a}, gdesc[UR8].tnspB, R24, gsb0 ;
        /*0040*/                   WARPGROUP.DEPBAR.LE gsb0, {wait} ;
        /*0050*/                   {between} ;
        /*0060*/                   HGMMA.64x64x16.F32 R24, R{b}, gdesc[UR8].tnspB, R24, gsb0 ;
        /*0070*/                   WARPGROUP.DEPBAR.LE gsb0, {wait} ;
        /*0080*/              @!P0 BRA `(.L_x_0) ;
        /*0090*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*00a0*/                   LDS.128 R4, [R2] ;
        /*00b0*/                   EXIT ;
.L_x_1:
        /*00c0*/                   BRA `(.L_x_1);
"""


def loop(first: str = "NOP", between: str = "NOP", wait: str = "0x1", a: int = 4, b: int = 4) -> list[tuple[str, int]]:
    """Name the instructions that are found in a loop of two products, with the registers."""
    listing = LOOP.format(first=first, between=between, wait=wait, a=a, b=b)
    return [(one.text, register) for one, register in inflight.overwritten(listing)]


@pytest.mark.parametrize(
    ("instruction", "register"),
    [
        ("LDS.U16 R7, [R9+UR6+0x4020]", 7),
        ("@P1 PRMT R5, R9.reuse, 0x9991, RZ", 5),
        ("LDS.128 R0, [R2]", None),
        ("LDS.128 R1, [R2]", 4),
        ("LDG.E.64.CONSTANT R3, desc[UR4][R8.64]", 4),
        ("LDSM.16.M88.4 R4, [R2]", 4),
        ("LDSM.16.M88 R3, [R2]", None),
        ("IMAD.WIDE.U32 R3, R9, 0x2, R10", 4),
        ("CS2R R3, SRZ", 4),
        ("CS2R.32 R3, SRZ", None),
        ("HMMA.16816.F32 R1, R8, R10, R16", 4),
        ("SHFL.BFLY PT, R4, R9, 0x1, 0x1f", 4),
        ("LOP3.LUT P1, RZ, R4, 0x1c, RZ, 0xc0, !PT", None),
        ("ISETP.GE.AND P0, PT, R4, R5, PT", None),
        ("STS.128 [R4+UR6], R4", None),
        ("R2UR UR5, R4", None),
        ("BAR.SYNC.DEFER_BLOCKING R4, 0x80", None),
        ("IADD3 R8, P0, R4, R5, RZ", None),
    ],
)
def test_what_an_instruction_writes_is_held_against_what_a_running_product_reads(
    instruction: str, register: int | None
) -> None:
    assert loop(first=instruction) == ([] if register is None else [(instruction, register)])


def test_a_wait_for_all_products_or_for_the_one_that_reads_is_enough() -> None:
    load = "LDS.128 R4, [R2]"
    assert loop(first=load, between=load, wait="0x0") == []
    # of two groups in turn the newer runs on: the registers of the older one are free, those of the newer are not
    assert loop(between=load, a=12, b=4) == []
    assert loop(between=load, a=4, b=12) == [(load, 4)]
    assert loop(first=load, a=4, b=12) == []
    assert loop(first=load, a=4, b=12, wait="0x2") == [(load, 4)]


def test_products_whose_left_matrix_is_in_shared_memory_read_no_registers() -> None:
    listing = LOOP.format(first="LDS.128 R4, [R2]", between="NOP", wait="0x1", a=4, b=4)
    assert next(inflight.overwritten(listing))[1] == 4
    assert not list(inflight.overwritten(listing.replace("R4, gdesc", "gdesc[UR12], gdesc")))
    shared = "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%r1,%r2}, %rd1, %rd2, p, 1, 1, 0, 1;"
    assert not inflight.takes_registers(shared)
    assert inflight.takes_registers(shared.replace("%rd1", "{%r3,%r4,%r5,%r6}"))


def test_the_objection_says_what_is_overwritten_where_and_what_helps() -> None:
    told = inflight.objection_to("k", LOOP.format(first="LDS.U16 R7, [R9]", between="NOP", wait="0x1", a=4, b=4))
    assert told is not None
    assert told.startswith("kernel k ")
    assert "`LDS.U16 R7, [R9]` at 0x10" in told
    assert "num_stages=1" in told
