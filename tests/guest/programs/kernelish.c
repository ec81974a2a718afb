// SPDX-License-Identifier: GPL-2.0-only
/*
 * kernelish - has the symbols and types by which the debugger recognises a kernel
 *
 * Compile with -DCALL for a kernel that has the system call, and with
 * -DRANDOMISED for one whose mm_struct is shuffled.
 */
struct mm_struct {
	unsigned long start_code, end_code, start_data, end_data;
#ifdef RANDOMISED
	unsigned long brk, start_brk, start_stack, arg_end, arg_start;
#else
	unsigned long start_brk, brk, start_stack, arg_start, arg_end;
#endif
};

struct task_struct {
	struct mm_struct *mm;
};

char linux_banner[] = "Linux version 5.10.0 (test@lab) #1\n";
struct mm_struct init_mm;
struct task_struct init_task = { &init_mm };

#ifdef CALL
void segment_info_fill(void)
{
}
#endif

int main(void)
{
	return linux_banner[0] == 0;
}
