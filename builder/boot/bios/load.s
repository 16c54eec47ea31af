# Loads an extent of the disk into memory above 1 MiB: chunk by chunk into the bounce
# buffer, where the BIOS can write, and from there to its place, counting its checksum.

        .include "layout.inc"
        .code16
        .text

# In: SI = the extent in the boot table, EDI = where it goes, a linear address. Up to
# three zeros are written behind it, which fill its last word. Out: ZF set if its checksum
# is right. Changes all registers.
        .globl  load_extent
load_extent:
        pushw   %si
        movl    EXTENT_LBA(%si), %eax
        movl    EXTENT_LBA + 4(%si), %edx
        movl    EXTENT_BYTES(%si), %ebp # what is left to read
        call    checksum_begin
1:      testl   %ebp, %ebp
        jz      3f
        movl    $CHUNK_BYTES, %ebx
        cmpl    %ebx, %ebp
        jae     2f
        movl    %ebp, %ebx
2:      leal    (1 << SECTOR_SHIFT) - 1(%ebx), %ecx
        shrl    $SECTOR_SHIFT, %ecx
        call    disk_read
        addl    %ecx, %eax
        adcl    $0, %edx
        subl    %ebx, %ebp
        call    fill_word
        leal    3(%ebx), %ecx
        shrl    $2, %ecx
        pushl   %eax
        pushl   %edx
        call    copy
        popl    %edx
        popl    %eax
        jmp     1b
3:      popw    %si
        addw    $EXTENT_CHECKSUM, %si
        jmp     checksum_matches

# Zeros behind the EBX bytes at ESI in the bounce buffer: what a sector holds behind a
# file's end is not the file's. Changes nothing but flags.
fill_word:
        pushw   %di
        movw    $BOUNCE_SEGMENT, %di
        movw    %di, %es
        movw    %si, %di                # the buffer begins a segment of 64 KiB
        addw    %bx, %di
        movl    $0, %es:(%di)
        xorw    %di, %di
        movw    %di, %es
        popw    %di
        ret
