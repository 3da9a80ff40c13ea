// Asks the API server's own code about CustomResourceDefinitions: a JSON list of them on standard input gives a list of
// what it holds against each on standard output. `.ci/crd-validator` builds it.
package main

import (
	"encoding/json"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var given []v1.CustomResourceDefinition
	must(json.NewDecoder(os.Stdin).Decode(&given))
	answers := [][]string{}
	for i := range given {
		scheme.Default(&given[i])
		var internal apiextensions.CustomResourceDefinition
		must(scheme.Convert(&given[i], &internal, nil))
		answer := []string{}
		for _, fault := range validation.ValidateCustomResourceDefinition(&internal, v1.SchemeGroupVersion) {
			answer = append(answer, fault.Error())
		}
		answers = append(answers, answer)
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}
