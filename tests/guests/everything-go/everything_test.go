package main

import (
	"strconv"
	"strings"
	"testing"

	"mqtt-source/plugin-sdk/clock"
	"mqtt-source/plugin-sdk/plugin"
)

func TestTheTimeIsThatOfTheMachineUnlessATestSaysOtherwise(t *testing.T) {
	if clock.NowMs() < 1_700_000_000_000 {
		t.Error(clock.NowMs())
	}
	clock.StandAt(7)
	defer clock.StandAt(0)
	if clock.NowMs() != 7 {
		t.Error(strconv.FormatInt(clock.NowMs(), 10))
	}
}

func TestAHookGoesOnUnlessToldToStop(t *testing.T) {
	connection := &plugin.Connection{Server: "broker:1883", ClientID: "plant-1", Attempt: 1}
	failure := &plugin.Failure{Reason: "refused", Lost: true}
	if err := failed(connection, failure); err != nil {
		t.Error(err)
	}
	connection.ClientID = "stop"
	err := failed(connection, failure)
	if err == nil || !strings.HasPrefix(err.Error(), "refused permanent=0 lost=1 broker:1883") {
		t.Error(err)
	}
}
