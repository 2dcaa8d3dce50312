package events

// ReadLimited is ReadFrom with another limit than MaxFile, which no test wants to fill.
var ReadLimited = readLimited
