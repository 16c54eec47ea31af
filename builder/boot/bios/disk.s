# The disk this was started from, by INT 13h extensions (EDD).
#
# Places and counts are in sectors of 512 bytes. What the medium's own sectors are
# is known in this file alone: 512 bytes for disks, 2,048 for a CD.
#
# Absent: other drives, writing, sectors of 4,096 bytes.

        .include "layout.inc"
        .code16
        .text

# Asks for the size of the disk and of its sectors (AH=48h). Ends the boot if the BIOS
# does not say, or the sectors have another size than those known.
        .globl  disk_open
disk_open:
        movw    $26, DRIVE_PARAMETERS   # the buffer's length: what EDD 1.1 fills in
        movw    $DRIVE_PARAMETERS, %si
        movb    drive, %dl
        movb    $0x48, %ah
        int     $0x13
        movb    %ah, status
        movw    $no_parameters, %si
        jc      fail
        movl    DRIVE_PARAMETERS + 16, %eax
        movl    DRIVE_PARAMETERS + 20, %edx
        xorw    %cx, %cx
        movzwl  DRIVE_PARAMETERS + 24, %ebx
        cmpw    $512, %bx
        je      1f
        movw    $2, %cx
        cmpw    $2048, %bx
        je      1f
        movl    %ebx, number
        movw    $odd_sectors, %si
        jmp     fail
1:      movb    %cl, shift
        shldl   %cl, %eax, %edx
        shll    %cl, %eax
        movl    %eax, disk_sectors
        movl    %edx, disk_sectors + 4
        ret

# Ends the boot if the extent at SI reaches past the disk. An empty one does not.
        .globl  disk_holds
disk_holds:
        movl    EXTENT_BYTES(%si), %eax
        testl   %eax, %eax
        jz      2f
        decl    %eax                    # sectors = (bytes - 1) / 512 + 1
        shrl    $SECTOR_SHIFT, %eax
        incl    %eax
        xorl    %edx, %edx
        addl    EXTENT_LBA(%si), %eax
        adcl    EXTENT_LBA + 4(%si), %edx
        sbbl    %ecx, %ecx              # an end beyond 64 bits becomes the last number
        orl     %ecx, %eax
        orl     %ecx, %edx
        cmpl    disk_sectors + 4, %edx
        jb      2f
        ja      1f
        cmpl    disk_sectors, %eax
        jbe     2f
1:      movl    %eax, second
        movl    %edx, second + 4
        movl    disk_sectors, %eax
        movl    %eax, number
        movl    disk_sectors + 4, %eax
        movl    %eax, number + 4
        movw    $disk_short, %si
        jmp     fail
2:      ret

# Reads sectors into the bounce buffer. In: EDX:EAX = the first, CX = how many, at most
# CHUNK_SECTORS. Out: ESI = where the first of them is, a linear address. Tries again
# after a reset, a few times, then ends the boot. Changes nothing else but flags.
        .globl  disk_read
disk_read:
        pushal
        movl    %eax, number            # for the message, should it come to that
        movl    %edx, number + 4
        movw    %cx, %bx
        movb    shift, %cl
# From sectors of 512 bytes to the medium's, of which the first and the last are read
# whole: SI sectors before those that are asked for.
        movw    $-1, %di
        shlw    %cl, %di
        notw    %di                     # how many of ours one of the medium's has, less one
        movw    %ax, %si
        andw    %di, %si
        addw    %si, %bx
        addw    %di, %bx
        shrw    %cl, %bx
        shrdl   %cl, %edx, %eax
        shrl    %cl, %edx
        movzwl  %si, %esi
        shll    $SECTOR_SHIFT, %esi
        addl    $BOUNCE, %esi
        movl    %esi, first_read
        movb    $READ_TRIES, tries
1:      movw    %bx, packet_count
        movl    %eax, packet_lba
        movl    %edx, packet_lba + 4
        pushal
        movw    $packet, %si
        movb    drive, %dl
        movb    $0x42, %ah
        int     $0x13
        movb    %ah, status
        jnc     2f
        xorb    %ah, %ah
        movb    drive, %dl
        int     $0x13
        stc
2:      popal
        cld
        jnc     3f
        decb    tries
        jnz     1b
        movw    $read_error, %si
        jmp     fail
3:      popal
        movl    first_read, %esi
        ret

        .data
no_parameters: .asciz "the BIOS does not tell the disk's size: status \003"
odd_sectors:   .asciz "the disk has sectors of \001 bytes, not 512 or 2048"
disk_short:    .asciz "the disk has \001 sectors, the boot table asks for \002"
read_error:    .asciz "cannot read sector \001: BIOS status \003"

        .globl  drive
        .balign 8
# The disk address packet of AH=42h.
packet:        .byte  16, 0
packet_count:  .word  0
               .word  0, BOUNCE_SEGMENT # offset and segment
packet_lba:    .quad  0
disk_sectors:  .quad  0
first_read:    .long  0                 # where the sectors asked for begin
drive:         .byte  0                 # its number in the BIOS
shift:         .byte  0                 # the medium's sectors have 512 << shift bytes
tries:         .byte  0
