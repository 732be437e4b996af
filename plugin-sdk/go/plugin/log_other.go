//go:build !wasip1

package plugin

import "log"

func write(level Level, line string) {
	log.Print([]string{"ERROR ", "WARN ", "INFO ", "DEBUG ", "TRACE "}[level], line)
}
