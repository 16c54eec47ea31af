# For tests only: a boot sector that makes the BIOS an odd one and then starts
# the disk's own stage 1.
#
# It moves out of the loader's way, to 192 KiB, takes over INT 13h and INT 15h, and
# answers as its settings say, which the test puts on the disk with the stage 1.
# What they leave alone goes on to the BIOS. It stays until the kernel has left real mode,
# so that the kernel sees the same machine.

        .include "layout.inc"
        .code16
        .text

# It runs at the offsets that it was loaded at, in another segment.
        .set    OWN_SEGMENT, 0x3000 - (STAGE1 >> 4)
# Two sectors before the first partition: the settings, then the disk's stage 1.
        .set    SETTINGS_LBA, 2046
        .set    SETTINGS, STAGE1 + 0x200
        .set    KEPT_STAGE1, STAGE1 + 0x400

# The settings.
        .set    MAP, SETTINGS               # 1: no memory map; 2: the one below
        .set    A20, SETTINGS + 1           # bit 0: closed; bit 1: INT 15h does not open it
        .set    PARAMETERS, SETTINGS + 2    # 1: AH=48h fails; 2: sectors of SECTOR_LEN
        .set    READS_BEFORE, SETTINGS + 3  # reads that succeed first
        .set    READS_FAILING, SETTINGS + 4 # reads that fail then
        .set    SECTOR_LEN, SETTINGS + 6    # 16 bits
        .set    ENTRIES, SETTINGS + 8       # how many entries the map has, 16 bits
        .set    MAP_ENTRIES, SETTINGS + 16  # 20 bytes each, as INT 15h AX=E820h has them

        .globl  start
start:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $STACK_TOP, %sp
        movw    $OWN_SEGMENT, %ax
        movw    %ax, %es
        movw    $STAGE1, %si
        movw    %si, %di
        movw    $256, %cx
        rep     movsw
        ljmp    $OWN_SEGMENT, $1f
1:      movw    %ax, %ds
        movb    %dl, drive
        movw    $packet, %si
        movb    $0x42, %ah
        sti
        int     $0x13
        cli
        jc      halt
        xorw    %ax, %ax
        movw    %ax, %es
        movw    $KEPT_STAGE1, %si
        movw    $STAGE1, %di
        movw    $256, %cx
        rep     movsw
        testb   $1, A20
        jz      2f
        inb     $0x92, %al
        andb    $0xFC, %al
        outb    %al, $0x92
# Vectors are offset and segment.
2:      movl    %es:0x13 * 4, %eax
        movl    %eax, bios_13h
        movl    %es:0x15 * 4, %eax
        movl    %eax, bios_15h
        movl    $(OWN_SEGMENT << 16), %eax
        movw    $int_13h, %ax
        movl    %eax, %es:0x13 * 4
        movw    $int_15h, %ax
        movl    %eax, %es:0x15 * 4
        movb    drive, %dl
        sti
        ljmp    $0, $STAGE1
halt:   hlt
        jmp     halt

int_13h:
        cmpb    $0x42, %ah
        je      2f
        cmpb    $0x48, %ah
        jne     1f
        cmpb    $1, %cs:PARAMETERS
        ja      4f
        je      5f
1:      ljmp    *%cs:bios_13h
# Reads: so many go on, so many fail, and lose the packet's count, the rest go on.
2:      cmpb    $0, %cs:READS_BEFORE
        je      3f
        decb    %cs:READS_BEFORE
        jmp     1b
3:      cmpb    $0, %cs:READS_FAILING
        je      1b
        decb    %cs:READS_FAILING
        movw    $0, 2(%si)
        jmp     5f
4:      pushfw
        lcall   *%cs:bios_13h
        pushw   %ax
        movw    %cs:SECTOR_LEN, %ax
        movw    %ax, 24(%si)
        popw    %ax
        jmp     good
5:      movb    $0x20, %ah              # "controller failure"
bad:    stc
        sti
        lret    $2                      # these flags, not those that were pushed
good:   clc
        sti
        lret    $2

int_15h:
        cmpw    $0x2401, %ax
        je      1f
        cmpl    $0xE820, %eax
        je      2f
        jmp     3f
1:      testb   $2, %cs:A20
        jz      3f
        movb    $0x86, %ah              # "not supported"
        jmp     bad
2:      cmpb    $1, %cs:MAP
        ja      4f
        je      bad
3:      ljmp    *%cs:bios_15h
# EBX counts the entries.
4:      pushw   %ds
        pushw   %si
        pushw   %di
        pushw   %cs
        popw    %ds
        imulw   $20, %bx, %si
        addw    $MAP_ENTRIES, %si
        movw    $10, %cx
        rep     movsw
        popw    %di
        popw    %si
        incw    %bx
        cmpw    ENTRIES, %bx
        popw    %ds
        jb      5f
        xorl    %ebx, %ebx
5:      movl    $20, %ecx
        movl    $0x534D4150, %eax       # "SMAP"
        jmp     good

        .balign 4
packet:         .byte   16, 0
                .word   2, SETTINGS, OWN_SEGMENT
                .quad   SETTINGS_LBA
bios_13h:       .long   0
bios_15h:       .long   0
drive:          .byte   0
        .org    440
