"""女性健康公益关爱: a green channel to two hospital departments for women whose care the epidemic delayed."""
