// SPDX-License-Identifier: GPL-2.0-only
/*
 * kernelish - has the symbols and types by which the debugger recognises a kernel
 *
 * Compile with -DCALL for a kernel that has the system call, and with -DRANDOMISED for one
 * whose task_struct is not what its debug info says.
 */
struct mm_struct {
	unsigned long start_code, end_code, start_data, end_data;
};

struct task_struct {
	struct mm_struct *mm;
	struct mm_struct *active_mm;
	char comm[16];
};

struct shuffled {
	struct mm_struct *active_mm;
	char comm[16];
	struct mm_struct *mm;
};

char linux_banner[] = "Linux version 5.10.0 (test@lab) #1\n";
struct mm_struct init_mm;
struct task_struct *current;
#ifdef RANDOMISED
struct shuffled init_task = { .active_mm = &init_mm, .comm = "swapper" };
#else
struct task_struct init_task = { .active_mm = &init_mm, .comm = "swapper" };
#endif

#ifdef CALL
void segment_info_fill(void)
{
}
#endif

int main(void)
{
	return linux_banner[0] == 0;
}
