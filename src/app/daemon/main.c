/* p2pmta: one peer in the foreground. */
int main(void)
{
	return 0;
}
