# Memory: the A20 line, and the firmware's map (INT 15h AX=E820h; ACPI
# Specification 6.5, section 15).
#
# Only what lies below 4 GiB is kept: nothing is put above. Of entries that overlap,
# those that are not usable win, as the specification has it.
#
# Absent: the keyboard controller's way to A20, and the older calls for memory sizes,
# which no machine that runs a 64-bit kernel needs.

        .include "layout.inc"
        .code16
        .text

# An entry of the map as it is kept: first address, end, type.
        .set    MAP_START, 0
        .set    MAP_END, 4
        .set    MAP_TYPE, 8
        .set    MAP_ENTRY_BYTES, 12
        .set    USABLE, 1
# The end of what is kept, exclusive: 4 GiB less a page, so that ends fit 32 bits.
        .set    ADDRESS_END, 0xFFFFF000

# Makes addresses of an odd MiB differ from those a MiB below: by the BIOS, then by
# the system control port. Ends the boot if they do not.
        .globl  memory_open_a20
memory_open_a20:
        call    is_a20_open
        jne     1f
        movw    $0x2401, %ax
        int     $0x15
        call    is_a20_open
        jne     1f
        inb     $0x92, %al
        orb     $2, %al
        andb    $0xFE, %al              # bit 0 would reset the machine
        outb    %al, $0x92
        call    is_a20_open
        jne     1f
        movw    $no_a20, %si
        jmp     fail
1:      ret

# Writes to 0:LINE and looks whether FFFF:LINE+10h, a MiB above, follows.
# Out: ZF clear if it does not.
is_a20_open:
        movw    $0xFFFF, %ax
        movw    %ax, %fs
        movw    %fs:LINE + 0x10, %ax
        notw    %ax
        movw    %ax, LINE
        outb    %al, $0x80              # gives the line time to settle
        cmpw    %fs:LINE + 0x10, %ax
        ret

# Reads the map. Ends the boot if the BIOS has none.
        .globl  memory_read_map
memory_read_map:
        movw    $MEMORY_MAP, map_end
        xorl    %ebx, %ebx
1:      movl    $0xE820, %eax
        movl    $0x534D4150, %edx       # "SMAP"
        movl    $20, %ecx
        movw    $MAP_ENTRY, %di
        int     $0x15
        jc      2f
        cmpl    $0x534D4150, %eax
        jne     2f
        call    keep_entry
        cmpw    $MEMORY_MAP_END - MAP_ENTRY_BYTES, map_end
        ja      2f
        testl   %ebx, %ebx
        jnz     1b
2:      cmpw    $MEMORY_MAP, map_end
        movw    $no_map, %si
        je      fail
        ret

# Keeps the part below 4 GiB of what the BIOS has answered; one that goes on where the
# last one ends makes that longer. Changes EAX, ECX, EDX, DI.
keep_entry:
        cmpl    $0, MAP_ENTRY + 4
        jne     4f
        movl    MAP_ENTRY, %eax
        movl    MAP_ENTRY + 8, %edx
        xorl    %ecx, %ecx
        addl    %eax, %edx
        adcl    MAP_ENTRY + 12, %ecx
        jnz     1f
        cmpl    $ADDRESS_END, %edx
        jbe     2f
1:      movl    $ADDRESS_END, %edx
2:      cmpl    %edx, %eax
        jae     4f
        movl    MAP_ENTRY + 16, %ecx
        movw    map_end, %di
        cmpw    $MEMORY_MAP, %di
        je      3f
        cmpl    %eax, MAP_END - MAP_ENTRY_BYTES(%di)
        jne     3f
        cmpl    %ecx, MAP_TYPE - MAP_ENTRY_BYTES(%di)
        jne     3f
        movl    %edx, MAP_END - MAP_ENTRY_BYTES(%di)
        ret
3:      movl    %eax, MAP_START(%di)
        movl    %edx, MAP_END(%di)
        movl    %ecx, MAP_TYPE(%di)
        addw    $MAP_ENTRY_BYTES, map_end
4:      ret

# The highest place for something. In: ECX = its length in bytes, EAX = the lowest
# address allowed, EDX = the end of what is allowed. Out: CF clear and EAX = the
# place, the beginning of a page; or CF set. Changes EBX, ESI, EDI.
        .globl  memory_highest
memory_highest:
        movl    %eax, floor
        movl    %edx, ceiling
        xorl    %edi, %edi              # the best place yet
        movw    $MEMORY_MAP, %si
1:      cmpl    $USABLE, MAP_TYPE(%si)
        jne     3f
        movl    MAP_END(%si), %edx
        cmpl    ceiling, %edx
        jbe     2f
        movl    ceiling, %edx
2:      movl    MAP_START(%si), %ebx
        cmpl    floor, %ebx
        jae     4f
        movl    floor, %ebx
4:      call    place_between
        jc      3f
        cmpl    %edi, %eax
        jbe     3f
        movl    %eax, %edi
3:      addw    $MAP_ENTRY_BYTES, %si
        cmpw    map_end, %si
        jb      1b
        movl    %edi, %eax
        cmpl    $1, %edi                # CF if there is none
        ret

# The highest page in EBX to EDX that begins ECX bytes which no unusable entry touches.
# Out: CF clear and EAX; or CF set. Changes EDX, BP. EDX falls with every turn.
place_between:
        movl    %edx, %eax
        subl    %ecx, %eax
        jb      5f
        andl    $~0xFFF, %eax
        cmpl    %ebx, %eax
        jb      5f
        movl    %eax, %edx
        addl    %ecx, %edx              # where it would end
        movw    $MEMORY_MAP, %bp
1:      cmpl    $USABLE, %ds:MAP_TYPE(%bp)
        je      2f
        cmpl    %ds:MAP_START(%bp), %edx
        jbe     2f
        cmpl    %ds:MAP_END(%bp), %eax
        jae     2f
        movl    %ds:MAP_START(%bp), %edx
        jmp     place_between
2:      addw    $MAP_ENTRY_BYTES, %bp
        cmpw    map_end, %bp
        jb      1b
        clc
5:      ret

# Whether a range is usable as a whole. In: EAX = first address, a page's; EDX = end.
# Out: CF clear if it is. Changes EAX, EBX, ECX, EDX, ESI, EDI, BP.
        .globl  memory_is_usable
memory_is_usable:
        movl    %edx, %ecx
        subl    %eax, %ecx
        jmp     memory_highest          # the only place it can have is its own

# Where the usable memory ends that begins at or below 1 MiB and reaches beyond it: what
# a machine has in one piece. Out: EAX, 1 MiB if there is none. Changes SI.
        .globl  memory_end
memory_end:
        movl    $HIGH, %eax
        movw    $MEMORY_MAP, %si
1:      cmpl    $USABLE, MAP_TYPE(%si)
        jne     2f
        cmpl    $HIGH, MAP_START(%si)
        ja      2f
        cmpl    MAP_END(%si), %eax
        jae     2f
        movl    MAP_END(%si), %eax
2:      addw    $MAP_ENTRY_BYTES, %si
        cmpw    map_end, %si
        jb      1b
        ret

# Ends the boot for want of memory. In: EDX:EAX = where the memory needed ends.
        .globl  memory_lacking
memory_lacking:
        addl    $0xFFFFF, %eax          # in MiB, rounded up
        adcl    $0, %edx
        shrdl   $20, %edx, %eax
        movl    %eax, number
        movl    $0, number + 4
        call    memory_end
        shrl    $20, %eax
        movl    %eax, second
        movw    $too_little, %si
        jmp     fail

        .data
no_a20:        .asciz "the A20 line cannot be opened"
no_map:        .asciz "the BIOS has no memory map"
too_little:    .asciz "too little memory: \001 MiB needed, \002 MiB found"

        .balign 4
floor:         .long  0
ceiling:       .long  0
map_end:       .word  0                 # behind the last entry kept
