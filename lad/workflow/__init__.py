"""What the rules of the Snakemake workflow ask: typed functions, tested without Snakemake."""
