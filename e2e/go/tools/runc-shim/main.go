// runc-shim stands before runc on a host whose root lacks capabilities (CAP_SYS_RESOURCE, as in many sandboxes): it takes
// out of a container's OCI spec what the kernel would refuse to give, then becomes runc. Docker's `--privileged`, which
// kind always uses, fails there without it ("unable to apply caps: operation not permitted").
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// realRunc is set at link time to the runc of the host.
var realRunc = "/usr/sbin/runc"

type object = map[string]any

func main() {
	if path, isSpec := specToTrim(os.Args[1:]); path != "" {
		if err := trimFile(path, isSpec); err != nil {
			// runc says better than we could what is wrong with a spec that we could not read.
			fmt.Fprintf(os.Stderr, "runc-shim: %s left as it was: %v\n", path, err)
		}
	}
	err := syscall.Exec(realRunc, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	fmt.Fprintf(os.Stderr, "runc-shim: cannot run %s: %v\n", realRunc, err)
	os.Exit(1)
}

// specToTrim finds the file that describes the process about to start: for create and run the bundle's whole spec
// (isSpec), for exec a bare process.
func specToTrim(args []string) (path string, isSpec bool) {
	bundle, process, verb := ".", "", ""
	for i, arg := range args {
		name, value, inline := strings.Cut(arg, "=")
		if !inline && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "--bundle", "-b":
			bundle = value
		case "--process", "-p":
			process = value
		case "create", "run", "exec":
			if verb == "" {
				verb = name
			}
		}
	}
	switch verb {
	case "create", "run":
		return filepath.Join(bundle, "config.json"), true
	case "exec":
		return process, false
	}
	return "", false
}

func trimFile(path string, isSpec bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	whole := object{}
	if err := decoder.Decode(&whole); err != nil {
		return err
	}
	process := whole
	if isSpec {
		process, _ = whole["process"].(object)
	}
	trimCapabilities(process)
	trimRlimits(process)
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		process["oomScoreAdj"] = 0
	}
	if data, err = json.Marshal(whole); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// trimCapabilities: CAP_SYS_RESOURCE goes from every set. The shim is installed only where it is missing.
func trimCapabilities(process object) {
	sets, _ := process["capabilities"].(object)
	for name, value := range sets {
		kept := []any{}
		list, _ := value.([]any)
		for _, capability := range list {
			if capability != "CAP_SYS_RESOURCE" {
				kept = append(kept, capability)
			}
		}
		sets[name] = kept
	}
}

// rlimitNumbers are those of Linux's asm-generic/resource.h.
var rlimitNumbers = map[string]int{
	"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
	"RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
	"RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}

// trimRlimits lowers each limit to this process' own hard limit: only CAP_SYS_RESOURCE may raise one.
func trimRlimits(process object) {
	limits, _ := process["rlimits"].([]any)
	for _, value := range limits {
		limit, _ := value.(object)
		number, known := rlimitNumbers[fmt.Sprint(limit["type"])]
		var own syscall.Rlimit
		if !known || syscall.Getrlimit(number, &own) != nil {
			continue
		}
		for _, bound := range []string{"hard", "soft"} {
			var wanted uint64
			if _, err := fmt.Sscan(fmt.Sprint(limit[bound]), &wanted); err == nil && wanted > own.Max {
				limit[bound] = own.Max
			}
		}
	}
}
