package core

// checkOwner leaves it to Windows who may write where.
func checkOwner(string) error { return nil }
